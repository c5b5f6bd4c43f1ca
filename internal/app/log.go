package app

import (
	"fmt"
	"io"
	"log/slog"

	"google.golang.org/grpc/grpclog"
	"k8s.io/klog/v2"
)

// newLogger makes the logger of the process, and leads what the libraries log
// (klog, gRPC) through it. level is debug, info, warn or error.
func newLogger(out io.Writer, level string) (*slog.Logger, error) {
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level %q is not debug, info, warn or error", level)
	}
	logger := slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: least}))
	slog.SetDefault(logger)
	klog.SetSlogLogger(logger.With("part", "kubernetes"))
	// gRPC tells of every reconnection; whoever waits for one says so himself.
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, out))
	return logger, nil
}
