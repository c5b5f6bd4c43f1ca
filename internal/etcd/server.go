package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"go.etcd.io/etcd/server/v3/embed"
	"golang.org/x/sys/unix"
)

// Config says where a Server keeps its data and where it listens.
type Config struct {
	// DataDir holds the data and is created with mode 0700.
	DataDir string
	// Socket is the path of the unix socket, at most 107 bytes long (the
	// kernel's limit). A stale socket file is replaced.
	Socket string
	Logger *slog.Logger
	// Fatal is called when the running store can no longer keep its promise
	// (a full or broken disk). Nil logs the sentence and ends the process.
	Fatal func(error)
}

// Server is a running store.
type Server struct {
	etcd     *embed.Etcd
	logs     *logCore
	socket   string
	compact  *compactor
	stopOnce sync.Once
}

// Start opens the data, and returns as soon as the socket takes connections.
// They are answered a moment later, when the member has elected itself: see
// Ready. The caller's own preparations run meanwhile.
func Start(ctx context.Context, config Config) (*Server, error) {
	if err := prepare(config); err != nil {
		return nil, err
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	logs := newLogCore(config)
	member, err := open(ctx, config, logs)
	if err != nil {
		return nil, explain(config, err)
	}
	logs.started.Store(true)
	go elect(member.Server)
	s := &Server{etcd: member, logs: logs, socket: config.Socket}
	s.compact = startCompactor(member.Server, member.Server.ReadyNotify(), config.Logger)
	return s, nil
}

// open runs etcd's own start. Over broken files etcd gives up in one of its
// goroutines, and leaves others waiting: they are left behind, since the
// process ends then.
func open(ctx context.Context, config Config, logs *logCore) (*embed.Etcd, error) {
	type result struct {
		member *embed.Etcd
		err    error
	}
	opened := make(chan result, 1)
	go func() {
		defer func() {
			if broken := recover(); broken != nil {
				opened <- result{err: brokenFiles(broken)}
			}
		}()
		member, err := embed.StartEtcd(memberConfig(config, logs))
		opened <- result{member, err}
	}()
	select {
	case r := <-opened:
		return r.member, r.err
	case err := <-logs.gaveUp:
		return nil, err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// prepare makes the directories, and checks what the kernel would refuse with
// a worse sentence.
func prepare(config Config) error {
	const socketPathLimit = 107 // sun_path without its NUL
	if len(config.Socket) > socketPathLimit {
		return fmt.Errorf("the store's socket path %q is %d bytes long, the kernel allows %d: choose a shorter --run-dir", config.Socket, len(config.Socket), socketPathLimit)
	}
	if err := os.MkdirAll(config.DataDir, 0o700); err != nil {
		return fmt.Errorf("creating the store's directory: %w: choose another --data-dir", err)
	}
	if err := os.MkdirAll(filepath.Dir(config.Socket), 0o700); err != nil {
		return fmt.Errorf("creating the store's socket directory: %w: choose another --run-dir", err)
	}
	if inUse(filepath.Join(config.DataDir, "member", "snap", "db")) {
		return fmt.Errorf("the store's directory %s is in use by another process: stop it, or choose another --data-dir", config.DataDir)
	}
	if err := os.Remove(config.Socket); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("removing a stale socket of the store: %w", err)
	}
	return nil
}

// inUse tells if another process has locked the database. etcd itself would
// wait for the lock, for ever.
func inUse(database string) bool {
	file, err := os.OpenFile(database, os.O_RDWR, 0)
	if err != nil {
		return false // there is none yet, or etcd will say what is wrong with it
	}
	defer file.Close()
	return errors.Is(unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK)
}

// Endpoint is the URL of the unix socket.
func (s *Server) Endpoint() string { return (&url.URL{Scheme: "unix", Path: s.socket}).String() }

// Ready is closed when requests are answered.
func (s *Server) Ready() <-chan struct{} { return s.etcd.Server.ReadyNotify() }

// Close ends open requests, writes out what is buffered and releases the data
// directory. It may be called more than once.
func (s *Server) Close() {
	s.stopOnce.Do(func() {
		s.logs.closing.Store(true)
		s.compact.stop()
		s.etcd.Close()
		os.Remove(s.socket)
	})
}
