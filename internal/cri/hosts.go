package cri

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// writeMirrors writes one hosts.toml per mirrored registry, in the layout that
// containerd reads at every pull, and removes those of mirrors no longer given.
func writeMirrors(dir string, mirrors []Mirror) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("writing registry mirrors: %w", err)
	}
	byFolder := map[string][]Mirror{}
	for _, mirror := range mirrors {
		folder := mirror.folder()
		byFolder[folder] = append(byFolder[folder], mirror)
	}
	old, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("reading registry mirrors: %w", err)
	}
	for _, entry := range old {
		if byFolder[entry.Name()] == nil {
			if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
				return fmt.Errorf("removing an old registry mirror: %w", err)
			}
		}
	}
	for folder, group := range byFolder {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o700); err != nil {
			return fmt.Errorf("writing registry mirrors: %w", err)
		}
		if err := replaceFile(filepath.Join(dir, folder, "hosts.toml"), []byte(hostsFile(group)), 0o600); err != nil {
			return fmt.Errorf("writing the mirrors of %s: %w", group[0].Registry, err)
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
