package volumes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// SubPath makes a part of a volume available for a container's mount, and
// returns its place on the host. The path is followed inside the volume only,
// and what it leads to is bound at once: no link in the volume, whoever makes
// it and when, can lead out.
func (h *Host) SubPath(pod *corev1.Pod, volume, container string, index int, path string) (string, error) {
	if !filepath.IsLocal(path) {
		return "", fmt.Errorf("subPath %q must be a relative path inside the volume", path)
	}
	root, err := os.OpenRoot(h.Path(pod, volume))
	if err != nil {
		return "", err
	}
	defer root.Close()
	part, err := root.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := root.MkdirAll(path, 0o750); err != nil {
			return "", fmt.Errorf("failed to create subPath directory for volumeMount %q of container %q: %w", volume, container, err)
		}
		part, err = root.Open(path)
	}
	if err != nil {
		return "", fmt.Errorf("failed to prepare subPath for volumeMount %q of container %q: %w", volume, container, err)
	}
	defer part.Close()
	target := filepath.Join(h.PodDir(pod.UID), "subpaths", volume, container, strconv.Itoa(index))
	if err := makeTarget(part, target); err != nil {
		return "", err
	}
	source := fmt.Sprintf("/proc/self/fd/%d", part.Fd())
	if err := unix.Mount(source, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return "", fmt.Errorf("binding subPath %q of volume %q: %w", path, volume, err)
	}
	return target, nil
}

// makeTarget makes an empty file or folder, in place of what an earlier start
// of the container had there.
func makeTarget(part *os.File, target string) error {
	for unix.Unmount(target, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW) == nil {
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o750); err != nil {
		return err
	}
	info, err := part.Stat()
	if err != nil {
		return err
	}
	if err := os.Remove(target); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if info.IsDir() {
		return os.Mkdir(target, 0o750)
	}
	return os.WriteFile(target, nil, 0o640)
}
