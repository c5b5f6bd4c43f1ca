package cri

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maxSocketPath is the longest path that a Unix socket can have on Linux.
const maxSocketPath = 107

// Check finds what would keep Start from working, before anything is changed,
// and says what to do about it.
func Check(config Config) error {
	config = config.withDefaults()
	if config.Endpoint == "" {
		return config.check()
	}
	_, err := normalEndpoint(config.Endpoint)
	return err
}

// check is Check for an engine of our own.
func (c Config) check() error {
	if os.Geteuid() != 0 {
		return errors.New("the container engine must run as root: run cox with sudo, or point --container-runtime-endpoint at one that runs already")
	}
	for _, dir := range []struct{ flag, path string }{{"--data-dir", c.DataDir}, {"--run-dir", c.RunDir}} {
		if !filepath.IsAbs(dir.path) {
			return fmt.Errorf("%s %q must be an absolute path", dir.flag, dir.path)
		}
	}
	for _, name := range []string{"containerd", "containerd-shim-runc-v2", "runc", "pause.tar"} {
		if err := checkFile(c.binary(name), name != "pause.tar"); err != nil {
			return err
		}
	}
	if longest := c.socket() + ".ttrpc"; len(longest) > maxSocketPath {
		return fmt.Errorf("--run-dir %s is too long: the engine's socket %s has %d characters and Linux allows %d; choose a path at least %d shorter",
			c.RunDir, longest, len(longest), maxSocketPath, len(longest)-maxSocketPath)
	}
	_, err := DetectCgroups()
	return err
}

func checkFile(path string, executable bool) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s is missing: build it with make, or give the directory that holds it with --bin-dir", path)
	case err != nil:
		return err
	case !info.Mode().IsRegular() || executable && info.Mode()&0o111 == 0:
		return fmt.Errorf("%s is not an executable file: build it anew with make", path)
	}
	return nil
}

// leastFreeBytes is what a start writes at most: databases, configuration and
// the pause image, with room for the file system's own needs.
const leastFreeBytes = 16 << 20

// explainDisk adds to an error that a full disk is its likely cause, since
// what fails then are all kinds of things.
func explainDisk(err error, c Config) error {
	for _, dir := range []string{c.DataDir, c.RunDir} {
		var disk unix.Statfs_t
		if unix.Statfs(dir, &disk) != nil {
			continue
		}
		if free := disk.Bavail * uint64(disk.Bsize); free < leastFreeBytes {
			return fmt.Errorf("the disk that holds %s is full (%d KiB free): make room and start again: %w", dir, free>>10, err)
		}
	}
	return err
}
