package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"coxswain.dev/cox/internal/agent"
	"coxswain.dev/cox/test/leftover"
)

// remove ends every process of the instance in dir, containers included, and
// removes its mounts, its network namespace, its cgroups and its files.
func remove(dir string) error {
	path := filepath.Join("/run/netns", filepath.Base(dir))
	namespace := ""
	var stat unix.Stat_t
	if unix.Stat(path, &stat) == nil {
		namespace = fmt.Sprintf("net:[%d]", stat.Ino)
	}
	if err := leftover.Processes(dir, namespace); err != nil {
		return err
	}
	errs := []error{leftover.Mounts(dir), agent.RemoveCgroups(context.Background(), filepath.Join(dir, "data"))}
	if namespace != "" {
		if out, err := exec.Command("ip", "netns", "delete", filepath.Base(dir)).CombinedOutput(); err != nil {
			errs = append(errs, fmt.Errorf("ip netns delete: %w: %s", err, out))
		}
	}
	return errors.Join(append(errs, os.RemoveAll(dir))...)
}
