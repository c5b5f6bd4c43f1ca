package app

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"coxswain.dev/cox/internal/cri"
)

// requireRoot comes first: nothing can be made without it.
func requireRoot() error {
	if os.Geteuid() != 0 {
		return errors.New("cox up must run as root: it makes containers, network interfaces and firewall rules. Try `sudo cox up`")
	}
	return nil
}

// preflight finds what would make a start fail, before anything is started.
func (p parsed) preflight() error {
	if _, err := os.Stat("/sys/fs/cgroup"); err != nil {
		return errors.New("no cgroups: /sys/fs/cgroup is missing. Mount them (systemd does), or give the container cox runs in access to them")
	}
	if entries, err := os.ReadDir("/sys/fs/cgroup"); err != nil || len(entries) == 0 {
		return errors.New("no cgroups: /sys/fs/cgroup is empty. Mount them (systemd does); inside a network namespace use `nsenter --net=…`, as `ip netns exec` hides them")
	}
	if err := cri.Check(p.engineConfig()); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(p.Kubeconfig), 0o755); err != nil {
		return fmt.Errorf("--kubeconfig: %w", err)
	}
	return p.checkPort()
}

// checkPort tells a taken port before the store has been started for nothing.
func (p parsed) checkPort() error {
	listener, err := net.Listen("tcp", p.Listen)
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("--listen %s: the port is in use by another program. Stop it (`ss -ltnp` shows it), or choose another port", p.Listen)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("--listen %s: this machine has no such address", p.Listen)
	case err != nil:
		return fmt.Errorf("--listen %s: %w. Give an address of this machine, such as %s", p.Listen, err, DefaultListen)
	}
	return listener.Close()
}

// makeDirs creates the directories, private to root.
func (p parsed) makeDirs() error {
	for _, dir := range []struct{ flag, path string }{{"--data-dir", p.DataDir}, {"--run-dir", p.RunDir}} {
		if err := os.MkdirAll(dir.path, 0o711); err != nil {
			return fmt.Errorf("%s: %w", dir.flag, err)
		}
		if err := unix.Access(dir.path, unix.W_OK); err != nil {
			return fmt.Errorf("%s %s cannot be written: %w", dir.flag, dir.path, err)
		}
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(p.DataDir, &disk); err == nil && disk.Bavail*uint64(disk.Bsize) < leastFreeBytes {
		return fmt.Errorf("--data-dir %s: the disk is full (%d MiB free, %d MiB are needed to start): make room, or choose another directory",
			p.DataDir, disk.Bavail*uint64(disk.Bsize)>>20, leastFreeBytes>>20)
	}
	return nil
}

// leastFreeBytes is room for the store's first segment (64 MiB, preallocated)
// and some logs.
const leastFreeBytes = 100 << 20
