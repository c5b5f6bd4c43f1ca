package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

// progressFD tells a background child on which descriptor its parent waits
// for its progress.
const progressFD = "COXSWAIN_PROGRESS_FD"

// Background starts the same command once more without a terminal, copies its
// progress to out, and returns when it is ready or has failed. args are the
// child's arguments without `-d`.
func Background(ctx context.Context, config Config, args []string, out io.Writer) error {
	parsed, err := config.parse()
	if err != nil {
		return err
	}
	if err := requireRoot(); err != nil {
		return err
	}
	logPath := filepath.Join(parsed.DataDir, "logs", "cox.log")
	if err := os.MkdirAll(filepath.Dir(logPath), 0o755); err != nil {
		return fmt.Errorf("--data-dir: %w", err)
	}
	logFile, err := os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("--data-dir: %w", err)
	}
	defer logFile.Close()
	reader, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	defer reader.Close()

	child := exec.Command("/proc/self/exe", args...)
	child.Args[0] = os.Args[0]
	child.Stdout, child.Stderr = logFile, logFile
	child.ExtraFiles = []*os.File{writer}
	child.Env = append(os.Environ(), progressFD+"=3")
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := child.Start(); err != nil {
		return errors.Join(err, writer.Close())
	}
	writer.Close()
	return follow(ctx, child, reader, out, logPath)
}

// follow relays the child's progress until it closes the pipe. A ready child
// writes a last zero byte first; one that ends without it has failed.
func follow(ctx context.Context, child *exec.Cmd, progress io.Reader, out io.Writer, logPath string) error {
	stop := context.AfterFunc(ctx, func() { child.Process.Signal(syscall.SIGTERM) })
	defer stop()
	ready := false
	buffer := make([]byte, 4096)
	for {
		n, err := progress.Read(buffer)
		text := buffer[:n]
		if n > 0 && text[n-1] == 0 {
			ready, text = true, text[:n-1]
		}
		if _, err := out.Write(text); err != nil {
			return err
		}
		if err != nil {
			break
		}
	}
	if ready {
		return child.Process.Release()
	}
	if err := child.Wait(); err != nil {
		return errSilent{fmt.Errorf("cox did not start: %w (log: %s)", err, logPath)}
	}
	return fmt.Errorf("cox ended while it started (log: %s)", logPath)
}

// errSilent is an error whose cause has been printed already.
type errSilent struct{ error }

// Silent tells whether err has been shown to the user already.
func Silent(err error) bool {
	var silent errSilent
	return errors.As(err, &silent)
}

// parentPipe returns the pipe to the waiting parent, and nil in a foreground
// process.
func parentPipe() *os.File {
	number, err := strconv.Atoi(os.Getenv(progressFD))
	if err != nil {
		return nil
	}
	os.Unsetenv(progressFD)
	syscall.CloseOnExec(number)
	return os.NewFile(uintptr(number), "progress")
}
