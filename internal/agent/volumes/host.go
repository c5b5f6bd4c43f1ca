package volumes

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Source is where the contents of volumes come from.
type Source interface {
	ConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error)
	Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error)
	// Token returns a service account's token for the Pod, and when a newer
	// one should be asked for.
	Token(ctx context.Context, pod *corev1.Pod, projection *corev1.ServiceAccountTokenProjection) (token string, refresh time.Time, err error)
}

// Host makes volumes below Root, an absolute path.
type Host struct {
	Root   string
	Source Source
	// Node is what the node can give, for limits that are not set.
	Node corev1.ResourceList
}

// Error names the volume that could not be prepared.
type Error struct {
	Volume string
	Err    error
}

func (e *Error) Error() string {
	return fmt.Sprintf("MountVolume.SetUp failed for volume %q : %v", e.Volume, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// PodDir is the folder of a Pod.
func (h *Host) PodDir(uid types.UID) string { return filepath.Join(h.Root, string(uid)) }

// Path is where a container of the Pod finds a volume on the host.
func (h *Host) Path(pod *corev1.Pod, volume string) string {
	for i := range pod.Spec.Volumes {
		if v := &pod.Spec.Volumes[i]; v.Name == volume && v.HostPath != nil {
			return v.HostPath.Path
		}
	}
	return filepath.Join(h.PodDir(pod.UID), "volumes", volume)
}

// Prepare puts every volume of the Pod into its place, or brings it up to date
// if it is there. refresh, if not zero, is when a token in one of them should
// be renewed.
func (h *Host) Prepare(ctx context.Context, pod *corev1.Pod) (refresh time.Time, err error) {
	if err := os.MkdirAll(filepath.Join(h.PodDir(pod.UID), "volumes"), 0o750); err != nil {
		return time.Time{}, err
	}
	for i := range pod.Spec.Volumes {
		volume := &pod.Spec.Volumes[i]
		next, err := h.prepare(ctx, pod, volume)
		if err != nil {
			return time.Time{}, &Error{volume.Name, err}
		}
		if !next.IsZero() && (refresh.IsZero() || next.Before(refresh)) {
			refresh = next
		}
	}
	return refresh, nil
}

func (h *Host) prepare(ctx context.Context, pod *corev1.Pod, volume *corev1.Volume) (refresh time.Time, err error) {
	dir := h.Path(pod, volume.Name)
	switch {
	case volume.HostPath != nil:
		return time.Time{}, checkHostPath(volume.HostPath)
	case volume.EmptyDir != nil:
		return time.Time{}, h.emptyDir(dir, volume.EmptyDir, fsGroup(pod))
	}
	files, refresh, err := h.files(ctx, pod, volume)
	if err != nil {
		return time.Time{}, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return time.Time{}, err
	}
	if volume.Secret != nil || volume.Projected != nil {
		if err := mountMemory(dir, 0o755, nil); err != nil {
			return time.Time{}, err
		}
	}
	_, err = publish(dir, files, fsGroup(pod))
	return refresh, err
}

// fsGroup is the group that volumes belong to, -1 for none.
func fsGroup(pod *corev1.Pod) int64 {
	if security := pod.Spec.SecurityContext; security != nil && security.FSGroup != nil {
		return *security.FSGroup
	}
	return -1
}

func (h *Host) emptyDir(dir string, source *corev1.EmptyDirVolumeSource, group int64) error {
	if _, err := os.Stat(dir); err == nil && (source.Medium != corev1.StorageMediumMemory || isMounted(dir)) {
		return nil // containers write there: it stays as it is
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	switch source.Medium {
	case corev1.StorageMediumDefault:
	case corev1.StorageMediumMemory:
		if err := mountMemory(dir, 0o777, source); err != nil {
			return err
		}
	default:
		return fmt.Errorf("unknown storage medium %q", source.Medium)
	}
	mode := os.FileMode(0o777)
	if group >= 0 {
		if err := os.Chown(dir, -1, int(group)); err != nil {
			return err
		}
		mode |= os.ModeSetgid
	}
	return os.Chmod(dir, mode)
}

// mountMemory mounts a memory file system unless there is one.
func mountMemory(dir string, mode os.FileMode, source *corev1.EmptyDirVolumeSource) error {
	if isMounted(dir) {
		return nil
	}
	options := fmt.Sprintf("mode=%o", mode)
	if source != nil && source.SizeLimit != nil && source.SizeLimit.Value() > 0 {
		options += fmt.Sprintf(",size=%d", source.SizeLimit.Value())
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		return fmt.Errorf("mounting a memory file system at %s: %w", dir, err)
	}
	return nil
}

// isMounted compares the file system of a folder with its parent's.
func isMounted(dir string) bool {
	var own, parent unix.Stat_t
	if unix.Lstat(dir, &own) != nil || unix.Lstat(filepath.Dir(dir), &parent) != nil {
		return false
	}
	return own.Dev != parent.Dev
}

// checkHostPath sees to it that the path is of the type asked for.
func checkHostPath(source *corev1.HostPathVolumeSource) error {
	kind := corev1.HostPathUnset
	if source.Type != nil {
		kind = *source.Type
	}
	switch kind {
	case corev1.HostPathDirectoryOrCreate:
		if err := os.MkdirAll(source.Path, 0o755); err != nil {
			return err
		}
	case corev1.HostPathFileOrCreate:
		created, err := os.OpenFile(source.Path, os.O_CREATE, 0o644)
		if err != nil {
			return err
		}
		created.Close()
	case corev1.HostPathUnset:
		return nil
	}
	return checkType(source.Path, kind)
}

func checkType(path string, kind corev1.HostPathType) error {
	var is bool
	var what string
	found, err := os.Stat(path)
	mode := os.FileMode(0)
	if err == nil {
		mode = found.Mode()
	}
	switch kind {
	case corev1.HostPathDirectory, corev1.HostPathDirectoryOrCreate:
		is, what = mode.IsDir(), "a directory"
	case corev1.HostPathFile, corev1.HostPathFileOrCreate:
		is, what = err == nil && mode.IsRegular(), "a file"
	case corev1.HostPathSocket:
		is, what = mode&os.ModeSocket != 0, "a socket file"
	case corev1.HostPathCharDev:
		is, what = mode&os.ModeCharDevice != 0, "a character device"
	case corev1.HostPathBlockDev:
		is, what = mode&os.ModeDevice != 0 && mode&os.ModeCharDevice == 0, "a block device"
	default:
		return fmt.Errorf("%s is an invalid volume type", kind)
	}
	if !is {
		return fmt.Errorf("hostPath type check failed: %s is not %s", path, what)
	}
	return nil
}
