package cri

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// answerDeadline bounds how long containerd may take from its start until CRI
// answers. It loads every container that it knows meanwhile.
const answerDeadline = 60 * time.Second

// takeUp finds the engine that an earlier cox started. If it runs but is not
// as it should be now, it is ended; its containers do not notice.
func (e *Engine) takeUp(ctx context.Context) error {
	known, alive := readRecord(e.config.recordFile())
	if !alive {
		// A cox that was killed before it could write the record leaves an
		// engine that only its command line tells of.
		known = record{PID: findByCommand(e.config.command())}
	}
	if known.PID == 0 {
		return e.checkSocketFree()
	}
	running, err := openProcess(known.PID)
	if err != nil {
		return nil // it ended this moment
	}
	wanted, err := e.fingerprint()
	if err != nil {
		return err
	}
	reason := "its configuration or binary has changed"
	if known.Fingerprint == wanted {
		ctx, cancel := context.WithTimeout(ctx, foreignDeadline)
		defer cancel()
		err := checkAnswers(ctx, e.endpoint)
		if err == nil {
			e.process, e.taken = running, true
			return nil
		}
		reason = fmt.Sprintf("it does not answer: %v", err)
	}
	e.log.Info("starting containerd anew", "pid", known.PID, "because", reason)
	defer running.forget()
	if err := running.stop(ctx, stopDeadline); err != nil {
		return fmt.Errorf("stopping the containerd of an earlier cox (process %d): %w", known.PID, err)
	}
	return nil
}

// command is how containerd is started.
func (c Config) command() []string {
	return []string{c.binary("containerd"), "--config", c.configFile()}
}

// checkSocketFree refuses to start a second containerd over a first that we
// have no record of: two of them would destroy each other's databases.
func (e *Engine) checkSocketFree() error {
	conn, err := net.Dial("unix", e.config.socket())
	if err != nil {
		return nil
	}
	conn.Close()
	return fmt.Errorf("another containerd, not started by this cox, listens on %s: stop it, or choose another --run-dir", e.config.socket())
}

// spawn starts containerd and waits until CRI answers.
func (e *Engine) spawn(ctx context.Context) error {
	fingerprint, err := e.fingerprint()
	if err != nil {
		return err
	}
	trimLog(e.config.logFile())
	log, err := os.OpenFile(e.config.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening containerd's log: %w", err)
	}
	defer log.Close()
	logged, err := log.Seek(0, 2)
	if err != nil {
		return err
	}
	started, err := launch(e.config, log)
	if err != nil {
		return err
	}
	ticks, err := startTicks(started.pid)
	if err == nil {
		err = record{PID: started.pid, StartTicks: ticks, Fingerprint: fingerprint}.write(e.config.recordFile())
	}
	if err == nil {
		err = e.awaitAnswer(ctx, started)
	}
	if err != nil {
		err = errors.Join(e.explain(err, logged), started.stop(context.WithoutCancel(ctx), stopDeadline))
		started.forget()
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.process = started
	return nil
}

// launch starts containerd where neither a Ctrl-C in cox's terminal nor the end
// of cox's session or service reaches it.
func launch(config Config, log *os.File) (*process, error) {
	argv := config.command()
	command := exec.Command(argv[0], argv[1:]...)
	command.Dir = "/"
	command.Env = environment(os.Environ(), config.BinDir)
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("starting containerd: %w", err)
	}
	joinEngineCgroup(command.Process.Pid)
	started, err := openProcess(command.Process.Pid)
	if err != nil {
		command.Process.Kill()
		command.Wait()
		return nil, err
	}
	started.child = command
	return started, nil
}

// tuning is what containerd's Go runtime is told: to collect garbage earlier,
// and not to look every second whether its CPU limit has changed. The
// measurements behind it are in docs/adr/0003-engine.md.
var tuning = []string{"GOGC=50", "GODEBUG=updatemaxprocs=0"}

// environment passes on what cox was given, proxies above all, without what
// systemd meant for cox alone.
func environment(own []string, binDir string) []string {
	var env []string
	path := "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	for _, entry := range own {
		name, value, _ := strings.Cut(entry, "=")
		switch name {
		case "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_USEC", "WATCHDOG_PID",
			"INVOCATION_ID", "JOURNAL_STREAM", "GOGC", "GOMEMLIMIT", "GOMAXPROCS", "GODEBUG":
		case "PATH":
			path = value
		default:
			env = append(env, entry)
		}
	}
	return append(append(env, "PATH="+binDir+":"+path), tuning...)
}

// awaitAnswer returns when CRI answers, or tells why it will not.
func (e *Engine) awaitAnswer(ctx context.Context, started *process) error {
	ctx, cancel := context.WithTimeoutCause(ctx, answerDeadline,
		fmt.Errorf("containerd did not answer on %s within %v", e.config.socket(), answerDeadline))
	defer cancel()
	ended := make(chan struct{})
	waiting, stopWaiting := context.WithCancel(ctx)
	defer func() {
		stopWaiting()
		<-ended
	}()
	died := false
	go func() {
		defer close(ended)
		if started.wait(waiting) == nil {
			died = true
			cancel()
		}
	}()
	err := checkAnswers(ctx, e.endpoint)
	if err == nil {
		return nil
	}
	stopWaiting()
	<-ended
	if died {
		return errors.New("containerd ended before it answered")
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}
