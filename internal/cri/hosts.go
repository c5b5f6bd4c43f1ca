package cri

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// systemCerts are where an administrator puts certificates and settings of
// registries for containerd and Docker; the first that has a registry counts.
var systemCerts = []string{"/etc/containerd/certs.d", "/etc/docker/certs.d"}

// writeMirrors writes one hosts.toml per mirrored registry, in the layout that
// containerd reads at every pull. Other registries get a link to what the
// system has on them, since containerd's transfer service knows one directory
// only. What an earlier start wrote is replaced.
func writeMirrors(dir string, mirrors []Mirror, system []string) error {
	byFolder := map[string][]Mirror{}
	for _, mirror := range mirrors {
		folder := mirror.folder()
		byFolder[folder] = append(byFolder[folder], mirror)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("writing registry mirrors: %w", err)
	}
	if err := removeOthers(dir, byFolder); err != nil {
		return fmt.Errorf("removing old registry mirrors: %w", err)
	}
	for folder, group := range byFolder {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o700); err != nil {
			return fmt.Errorf("writing registry mirrors: %w", err)
		}
		if err := replaceFile(filepath.Join(dir, folder, "hosts.toml"), []byte(hostsFile(group)), 0o600); err != nil {
			return fmt.Errorf("writing the mirrors of %s: %w", group[0].Registry, err)
		}
	}
	return linkSystem(dir, system)
}

// removeOthers removes folders of registries without a mirror, and all links.
func removeOthers(dir string, wanted map[string][]Mirror) error {
	old, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range old {
		if entry.IsDir() && wanted[entry.Name()] != nil {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

func linkSystem(dir string, system []string) error {
	for _, from := range system {
		entries, err := os.ReadDir(from)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("reading the system's registry settings: %w", err)
		}
		for _, entry := range entries {
			err := os.Symlink(filepath.Join(from, entry.Name()), filepath.Join(dir, entry.Name()))
			if err != nil && !errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("linking the system's registry settings: %w", err)
			}
		}
	}
	return nil
}

func (m Mirror) folder() string {
	if m.Registry == AnyRegistry {
		return "_default"
	}
	return m.Registry
}

// hostsFile names the mirrors of one registry in order. The registry itself
// comes last, unless a mirror is the registry, reached in another way.
func hostsFile(mirrors []Mirror) string {
	var text strings.Builder
	if server := upstream(mirrors); server != "" {
		fmt.Fprintf(&text, "server = %q\n", server)
	}
	for _, mirror := range mirrors {
		fmt.Fprintf(&text, "\n[host.%q]\n  capabilities = [\"pull\", \"resolve\"]\n", mirror.URL)
		if target, err := url.Parse(mirror.URL); err == nil && slices.Contains(strings.Split(target.Path, "/"), "v2") {
			// The path says itself where the API is, as that of a proxying
			// registry does (/v2/docker-hub); else /v2 is put behind it.
			text.WriteString("  override_path = true\n")
		}
	}
	return text.String()
}

func upstream(mirrors []Mirror) string {
	registry := mirrors[0].Registry
	for _, mirror := range mirrors {
		if target, err := url.Parse(mirror.URL); err == nil && target.Host == registry && target.Path == "" {
			return mirror.URL
		}
	}
	switch registry {
	case AnyRegistry:
		return ""
	case "docker.io":
		return "https://registry-1.docker.io"
	}
	return "https://" + registry
}
