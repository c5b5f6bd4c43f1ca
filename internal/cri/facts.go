package cri

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// facts are what the machine allows, found by trying.
type facts struct {
	// Snapshotter is overlayfs, or native where the kernel refuses overlays.
	Snapshotter string
	// RestrictOOM is set where a process may not be made less likely to be
	// killed when memory runs out, as in many containers and sandboxes.
	RestrictOOM bool
}

func (c Config) examine() (facts, error) {
	found := facts{Snapshotter: "overlayfs"}
	reason, err := tryOverlay(c.rootDir())
	if err != nil {
		return facts{}, err
	}
	if reason != nil {
		found.Snapshotter = "native"
		c.Logger.Warn("overlayfs does not work here, so every container gets a full copy of its image: that is slow and takes much disk. "+
			"Put --data-dir on a local file system such as ext4 or xfs, not inside another overlay", "data-dir", c.DataDir, "reason", reason)
	}
	found.RestrictOOM = !mayLowerOOMScore()
	return found, nil
}

// tryOverlay mounts a small overlay where containers' would be. The first
// result says why that is not possible.
func tryOverlay(root string) (reason, err error) {
	dir, err := os.MkdirTemp(root, "overlay-check-")
	if err != nil {
		return nil, fmt.Errorf("writing to the data directory: %w", err)
	}
	defer os.RemoveAll(dir)
	paths := map[string]string{}
	for _, name := range []string{"lower", "upper", "work", "merged"} {
		paths[name] = filepath.Join(dir, name)
		if err := os.Mkdir(paths[name], 0o700); err != nil {
			return nil, fmt.Errorf("writing to the data directory: %w", err)
		}
	}
	options := "lowerdir=" + paths["lower"] + ",upperdir=" + paths["upper"] + ",workdir=" + paths["work"]
	if err := unix.Mount("overlay", paths["merged"], "overlay", 0, options); err != nil {
		return err, nil
	}
	if err := unix.Unmount(paths["merged"], unix.MNT_DETACH); err != nil {
		return nil, fmt.Errorf("unmounting %s: %w", paths["merged"], err)
	}
	return nil, nil
}

// pauseOOMScore is the score of a Pod's sandbox, the lowest that is asked for.
const pauseOOMScore = -998

// mayLowerOOMScore tries it on this process and puts the old score back, which
// is always allowed.
func mayLowerOOMScore() bool {
	const file = "/proc/self/oom_score_adj"
	content, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	if os.WriteFile(file, []byte(strconv.Itoa(pauseOOMScore)), 0) != nil {
		return false
	}
	return os.WriteFile(file, []byte(strings.TrimSpace(string(content))), 0) == nil
}
