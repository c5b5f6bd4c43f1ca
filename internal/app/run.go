package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sync/errgroup"
)

// Run starts everything, prints each step to out, and returns when ctx has
// ended and everything of ours is stopped. Containers and their engine go on.
// A part that fails for good ends the others, and its error is returned.
func Run(ctx context.Context, config Config, out io.Writer) error {
	pipe := parentPipe()
	if pipe != nil {
		defer pipe.Close()
		out = io.MultiWriter(out, pipe)
	}
	err := run(ctx, config, out, func() {
		if pipe != nil {
			// The parent takes a last zero byte for success.
			pipe.Write([]byte{0})
			pipe.Close()
		}
		notifySystemd("READY=1")
	})
	if err != nil && pipe != nil {
		fmt.Fprintf(pipe, "error: %v\n", err)
	}
	return err
}

func run(ctx context.Context, config Config, out io.Writer, ready func()) error {
	settings, err := config.parse()
	if err != nil {
		return err
	}
	if err := requireRoot(); err != nil {
		return err
	}
	if err := settings.makeDirs(); err != nil {
		return err
	}
	lock, err := acquireLock(settings.DataDir)
	if err != nil {
		return err
	}
	defer lock.release()
	if err := settings.preflight(); err != nil {
		return err
	}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	logger, err := newLogger(os.Stderr, settings.LogLevel, ctx.Done())
	if err != nil {
		return err
	}
	i := &instance{
		parsed:   settings,
		progress: NewProgress(out),
		log:      logger,
		fail:     func(part string, err error) { cancel(fmt.Errorf("%s: %w", part, err)) },
	}
	defer i.stop()
	if err := i.start(ctx); err != nil {
		return err
	}
	i.greet()
	ready()

	returnMemory(ctx) // until the end there is nothing else to do here
	notifySystemd("STOPPING=1")
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	i.progress.Printf("Stopping. Containers go on running; `cox up` takes them up again.")
	return nil
}

// start brings everything up: first what stands on its own, side by side,
// then what needs the API, and at last it waits until the node is ready.
func (i *instance) start(ctx context.Context) error {
	if err := i.startNetwork(); err != nil {
		return err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := i.startStore(groupCtx); err != nil {
			return err
		}
		return i.startAPI(ctx, groupCtx)
	})
	group.Go(func() error { return i.startEngine(groupCtx) })
	if err := group.Wait(); err != nil {
		return startError(ctx, err)
	}
	if err := i.startWorkers(ctx); err != nil {
		return err
	}
	return startError(ctx, i.awaitNode(ctx))
}

// startError is what made a start fail: the part that ended the others, if
// one did.
func startError(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}
