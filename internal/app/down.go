package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"coxswain.dev/cox/internal/agent"
	"coxswain.dev/cox/internal/cri"
	"coxswain.dev/cox/internal/network"
)

const (
	// stopDeadline is how long a cox may take to end: open requests get a
	// moment, and the store writes out what it has.
	stopDeadline = 30 * time.Second
	// podGrace is what containers get to end by themselves at `cox down
	// --pods`: the default of terminationGracePeriodSeconds.
	podGrace = 30 * time.Second
)

// Down stops the cox that works on the data directory, and with pods the
// containers and the engine too. Stopping what does not run is no error.
func Down(ctx context.Context, config Config, pods bool, out io.Writer) error {
	settings, err := config.parseShared()
	if err != nil {
		return err
	}
	progress := NewProgress(out)
	if err := settings.stopCox(ctx, progress); err != nil {
		return err
	}
	if !pods {
		return nil
	}
	return settings.stopPods(ctx, progress)
}

// stopCox ends the running process and waits until it has let go of its data.
func (p parsed) stopCox(ctx context.Context, progress *Progress) error {
	pid, err := runningPID(p.DataDir)
	if err != nil {
		return err
	}
	if pid == 0 {
		progress.Printf("cox is not running on %s.", p.DataDir)
		return nil
	}
	done := progress.Step("cox")
	if err := unix.Kill(pid, unix.SIGTERM); err != nil {
		return fmt.Errorf("stopping cox (pid %d): %w", pid, err)
	}
	ctx, cancel := context.WithTimeout(ctx, stopDeadline)
	defer cancel()
	if err := awaitUnlocked(ctx, p.DataDir); err != nil {
		return fmt.Errorf("cox (pid %d) did not end within %v: `kill -9 %d` ends it, nothing acknowledged is lost: %w", pid, stopDeadline, pid, err)
	}
	done(fmt.Sprintf("stopped (pid %d)", pid))
	return nil
}

// stopPods ends all containers, and then the engine. Nobody needs a way through
// other firewalls then.
func (p parsed) stopPods(ctx context.Context, progress *Progress) error {
	done := progress.Step("pods")
	engine, err := cri.Start(ctx, p.engineConfig())
	if err != nil {
		return fmt.Errorf("reaching the engine to stop the Pods: %w", err)
	}
	if err := engine.StopPods(ctx, podGrace); err != nil {
		return errors.Join(fmt.Errorf("stopping the Pods: %w", err), engine.Close())
	}
	if err := agent.RemoveCgroups(ctx, p.DataDir); err != nil {
		return errors.Join(fmt.Errorf("removing the Pods' cgroups: %w", err), engine.Close())
	}
	done("stopped")
	done = progress.Step("engine")
	if err := engine.Stop(ctx); err != nil {
		return fmt.Errorf("stopping the engine: %w", err)
	}
	done("stopped")
	return network.CloseFirewalls(p.networkConfig())
}

// Reset stops everything and deletes all that cox made on this machine.
func Reset(ctx context.Context, config Config, out io.Writer) error {
	if err := Down(ctx, config, true, out); err != nil {
		return err
	}
	settings, err := config.parseShared()
	if err != nil {
		return err
	}
	progress := NewProgress(out)
	done := progress.Step("network")
	if err := network.Teardown(settings.networkConfig()); err != nil {
		return err
	}
	done("removed")
	done = progress.Step("data")
	if err := settings.removeFiles(); err != nil {
		return err
	}
	done(fmt.Sprintf("%s, %s removed", settings.DataDir, settings.RunDir))
	return nil
}

// removeFiles deletes the directories and the kubeconfig entries. Mounts that
// a dead container left are let go first.
func (p parsed) removeFiles() error {
	if err := errors.Join(unmountBelow(p.DataDir), unmountBelow(p.RunDir)); err != nil {
		return err
	}
	if p.Kubeconfig == DefaultKubeconfig {
		if err := unmergeKubeconfig(); err != nil {
			return err
		}
	}
	err := os.Remove(p.Kubeconfig)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, os.RemoveAll(p.DataDir), os.RemoveAll(p.RunDir))
}
