package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// logCore passes etcd's log lines to slog: errors and worse as they are, all
// else at debug level, since etcd warns about a lone member's normal life.
type logCore struct {
	config Config
	out    *slog.Logger
	// fatal is called with the reason when etcd gives up after the start.
	fatal func(error)
	// started is true once Start has returned. Before that the reason goes to
	// gaveUp, which Start reads.
	started atomic.Bool
	gaveUp  chan error
	// closing is true once Close has begun: what breaks then is meant to.
	closing atomic.Bool
}

func newLogCore(config Config) *logCore {
	out, fatal := config.Logger, config.Fatal
	if out == nil {
		out = slog.New(slog.DiscardHandler)
	}
	if fatal == nil {
		fatal = func(err error) {
			out.Error(err.Error())
			os.Exit(1)
		}
	}
	return &logCore{config: config, out: out, fatal: fatal, gaveUp: make(chan error, 1)}
}

func (c *logCore) logger() *zap.Logger {
	return zap.New(c, zap.WithFatalHook(giveUp{c}), zap.WithPanicHook(giveUp{c}))
}

// Enabled implements zapcore.Core.
func (c *logCore) Enabled(level zapcore.Level) bool {
	return level >= zapcore.ErrorLevel || c.out.Enabled(context.Background(), slog.LevelDebug)
}

// With implements zapcore.Core.
func (c *logCore) With([]zapcore.Field) zapcore.Core { return c }

// Check implements zapcore.Core.
func (c *logCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(entry.Level) {
		return checked.AddCore(entry, c)
	}
	return checked
}

// Write implements zapcore.Core.
func (c *logCore) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	if entry.Level > zapcore.ErrorLevel {
		return nil // giveUp tells it, once and with its reason
	}
	level := slog.LevelDebug
	if entry.Level == zapcore.ErrorLevel && entry.Message != harmless && !c.closing.Load() {
		level = slog.LevelError
	}
	encoded := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(encoded)
	}
	attributes := make([]slog.Attr, 0, len(encoded.Fields))
	for key, value := range encoded.Fields {
		attributes = append(attributes, slog.Any(key, value))
	}
	c.out.LogAttrs(context.Background(), level, "etcd: "+entry.Message, attributes...)
	return nil
}

// harmless is what etcd calls an error at the first start of every member:
// its log is too young to tell a version.
const harmless = "failed to update storage version"

// Sync implements zapcore.Core.
func (c *logCore) Sync() error { return nil }

// giveUp is what etcd's "fatal" and "panic" log levels end in.
type giveUp struct{ core *logCore }

// OnWrite implements zapcore.CheckWriteHook.
func (g giveUp) OnWrite(checked *zapcore.CheckedEntry, fields []zapcore.Field) {
	reason := errors.New(checked.Message)
	for _, f := range fields {
		if f.Type == zapcore.ErrorType {
			reason = fmt.Errorf("%s: %w", checked.Message, f.Interface.(error))
		}
	}
	if g.core.started.Load() {
		g.core.fatal(explainEnd(g.core.config, reason))
	} else {
		select {
		case g.core.gaveUp <- reason:
		default: // the first reason is the one that counts
		}
	}
	// etcd relies on not coming back from here, in whichever goroutine.
	runtime.Goexit()
}
