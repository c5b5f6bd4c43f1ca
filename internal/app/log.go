package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"google.golang.org/grpc/grpclog"
	"k8s.io/klog/v2"
)

// newLogger makes the logger of the process, and leads what the libraries log
// (klog, gRPC) through it. level is debug, info, warn or error; stopped is closed
// when the process begins to stop.
func newLogger(out io.Writer, level string, stopped <-chan struct{}) (*slog.Logger, error) {
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level %q is not debug, info, warn or error", level)
	}
	handler := slog.NewTextHandler(out, &slog.HandlerOptions{Level: least})
	logger := slog.New(handler)
	slog.SetDefault(logger)
	klog.SetSlogLogger(slog.New(untilStopped{handler, stopped}).With("part", "kubernetes"))
	// gRPC tells of every reconnection; whoever waits for one says so himself.
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, out))
	return logger, nil
}

// untilStopped leaves errors out once stopping has begun, unless debugging is
// on: Kubernetes' libraries call every request an error that is cut off then.
type untilStopped struct {
	slog.Handler
	stopped <-chan struct{}
}

func (h untilStopped) Enabled(ctx context.Context, level slog.Level) bool {
	return h.Handler.Enabled(ctx, h.lowered(level))
}

// givenUp are the words in which the API server calls it an error that a client
// has closed its watch or its stream (exec, port-forward), as every kubectl does
// in the end.
var givenUp = []string{
	"Failed to encode watch event",
	"Error proxying data from client to backend",
	"Error proxying data from backend to client",
	"Error on socket receive",
	"Copying stdin failed",
	"Waiting for server to close stdin failed",
	"Encoding terminal size failed",
	"Copying stdout failed",
	"Copying stderr failed",
}

// Handle decides once more: klog does not ask first.
func (h untilStopped) Handle(ctx context.Context, record slog.Record) error {
	level := h.lowered(record.Level)
	if slices.Contains(givenUp, record.Message) {
		level = slog.LevelDebug
	}
	if !h.Handler.Enabled(ctx, level) {
		return nil
	}
	return h.Handler.Handle(ctx, record)
}

func (h untilStopped) lowered(level slog.Level) slog.Level {
	select {
	case <-h.stopped:
		return min(level, slog.LevelDebug)
	default:
		return level
	}
}

func (h untilStopped) WithAttrs(attrs []slog.Attr) slog.Handler {
	return untilStopped{h.Handler.WithAttrs(attrs), h.stopped}
}

func (h untilStopped) WithGroup(name string) slog.Handler {
	return untilStopped{h.Handler.WithGroup(name), h.stopped}
}
