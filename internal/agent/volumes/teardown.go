package volumes

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/types"
)

// TearDown unmounts and removes everything of a Pod. It removes nothing while
// something is mounted there: that could belong to others.
func (h *Host) TearDown(uid types.UID) error {
	dir := h.PodDir(uid)
	if _, err := os.Lstat(dir); os.IsNotExist(err) {
		return nil
	}
	points, err := mountsBelow(dir)
	if err != nil {
		return err
	}
	for _, point := range slices.Backward(points) {
		if err := unix.Unmount(point, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
			return fmt.Errorf("unmounting %s: %w", point, err)
		}
	}
	if points, err = mountsBelow(dir); err != nil || len(points) > 0 {
		return fmt.Errorf("volumes of Pod %s are still mounted: %v %w", uid, points, err)
	}
	return os.RemoveAll(dir)
}

// Pods are the UIDs of Pods that have a folder.
func (h *Host) Pods() ([]types.UID, error) {
	entries, err := os.ReadDir(h.Root)
	if os.IsNotExist(err) {
		return nil, nil
	}
	var uids []types.UID
	for _, entry := range entries {
		uids = append(uids, types.UID(entry.Name()))
	}
	return uids, err
}

// mountsBelow are mount points in the order in which they were mounted.
func mountsBelow(dir string) ([]string, error) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var points []string
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 5 {
			continue
		}
		if point := unescape(fields[4]); strings.HasPrefix(point, filepath.Clean(dir)+"/") {
			points = append(points, point)
		}
	}
	return points, lines.Err()
}

// unescape undoes the octal form of blanks in mountinfo.
func unescape(path string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(path)
}
