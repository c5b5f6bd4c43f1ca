package cri

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Engine is a container engine that answers on a socket.
type Engine struct {
	config   Config
	endpoint string
	log      *slog.Logger
	images   *Images

	// The rest is for an engine of ours; process is nil for somebody else's.
	mu      sync.Mutex // guards process, which the watch replaces
	process *process
	// text is containerd's configuration file.
	text string
	// taken is whether the engine was found running.
	taken    bool
	watching sync.WaitGroup
	cancel   context.CancelFunc
}

// Start brings the engine to where it answers, as the package comment says.
// ctx bounds the start only; the engine is watched until Close or Stop.
func Start(ctx context.Context, config Config) (*Engine, error) {
	config = config.withDefaults()
	if config.Endpoint != "" {
		return connect(ctx, config)
	}
	if err := config.check(); err != nil {
		return nil, err
	}
	e := &Engine{config: config, endpoint: Endpoint(config.RunDir), log: config.Logger}
	if err := e.prepare(); err != nil {
		return nil, explainDisk(err, config)
	}
	if err := e.takeUp(ctx); err != nil {
		return nil, err
	}
	if e.process == nil {
		if err := e.spawn(ctx); err != nil {
			return nil, explainDisk(err, config)
		}
	}
	var err error
	if e.images, err = OpenImages(e.endpoint); err != nil {
		return nil, err
	}
	if err := e.ensurePause(ctx); err != nil {
		return nil, errors.Join(explainDisk(err, config), e.undo(context.WithoutCancel(ctx)))
	}
	watchContext, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	e.watching.Go(func() { e.watch(watchContext) })
	e.watching.Go(func() { e.clearLeftovers(watchContext) })
	return e, nil
}

// undo leaves the engine as it was before a Start that failed at the end.
func (e *Engine) undo(ctx context.Context) error {
	if e.taken {
		return e.Close()
	}
	return e.Stop(ctx)
}

// foreignDeadline is how long an engine that somebody else runs, and that is
// expected to run already, may take to answer.
const foreignDeadline = 5 * time.Second

// connect checks an engine that somebody else runs.
func connect(ctx context.Context, config Config) (*Engine, error) {
	endpoint, err := normalEndpoint(config.Endpoint)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, foreignDeadline)
	defer cancel()
	if err := checkAnswers(ctx, endpoint); err != nil {
		return nil, fmt.Errorf("the container runtime at %s: %w; start it, or leave --container-runtime-endpoint out to use the containerd that cox ships", endpoint, err)
	}
	images, err := OpenImages(endpoint)
	if err != nil {
		return nil, err
	}
	return &Engine{config: config, endpoint: endpoint, log: config.Logger, images: images}, nil
}

// prepare makes the directories and writes what containerd reads.
func (e *Engine) prepare() error {
	for _, dir := range []string{e.config.runPath(""), e.config.stateDir(), e.config.rootDir(), e.config.CNIConfDir} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return fmt.Errorf("making the engine's directories: %w", err)
		}
	}
	if err := os.MkdirAll(e.config.logDir(), 0o755); err != nil {
		return fmt.Errorf("making the log directory: %w", err)
	}
	if err := writeMirrors(e.config.certsDir(), e.config.Mirrors, systemCerts); err != nil {
		return err
	}
	facts, err := e.config.examine()
	if err != nil {
		return err
	}
	e.text = facts.containerdConfig(e.config)
	if err := replaceFile(e.config.configFile(), []byte(e.text), 0o600); err != nil {
		return fmt.Errorf("writing containerd's configuration: %w", err)
	}
	return nil
}

// Endpoint is the CRI socket's URL, unix:///….
func (e *Engine) Endpoint() string { return e.endpoint }

// TakenUp tells whether Start found the engine running.
func (e *Engine) TakenUp() bool { return e.taken }

// PID is the engine's process, 0 for an engine that somebody else runs.
func (e *Engine) PID() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.process == nil {
		return 0
	}
	return e.process.pid
}

// Close stops watching the engine, and leaves it and its containers running.
func (e *Engine) Close() error {
	e.endWatch()
	if e.process != nil {
		e.process.forget()
	}
	return e.images.Close()
}

func (e *Engine) endWatch() {
	if e.cancel != nil {
		e.cancel()
		e.watching.Wait()
	}
}

// stopDeadline is how long containerd gets to end by itself. It has nothing to
// save: its databases are safe at any moment.
const stopDeadline = 5 * time.Second

// Stop ends the engine, and leaves its containers to their shims: they run on.
// Call StopPods first to end them too. An engine that somebody else runs is
// left alone.
func (e *Engine) Stop(ctx context.Context) error {
	e.endWatch()
	err := e.images.Close()
	if e.process == nil {
		return err
	}
	defer e.process.forget()
	if stopErr := e.process.stop(ctx, stopDeadline); stopErr != nil {
		return errors.Join(err, fmt.Errorf("stopping containerd (process %d): %w", e.process.pid, stopErr))
	}
	leaveEngineCgroup()
	for _, path := range []string{e.config.recordFile(), e.config.socket(), e.config.socket() + ".ttrpc"} {
		if removeErr := os.Remove(path); removeErr != nil && !errors.Is(removeErr, os.ErrNotExist) {
			err = errors.Join(err, removeErr)
		}
	}
	return err
}
