package cri

import (
	"cmp"
	"context"
	"maps"
	"time"

	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types/task"
	"golang.org/x/sys/unix"
)

// A leftover is a task that was made and will never be started: whoever asked
// for it, a cox that was killed, went away in that very moment. containerd 2.4
// then takes its container for failed, and neither ends the task nor removes
// the container ("cannot delete running task"), so that its Pod would wait for
// ever. A start takes milliseconds from one to the other: what is still only
// made a whole leftoverPeriod later is left over. What a former cox has asked
// for was given up after the first looks.
const (
	leftoverPeriod = 3 * time.Second
	leftoverLooks  = 4
	// endDeadline bounds how long a killed task may take to be gone.
	endDeadline = 2 * time.Second
	endPeriod   = 50 * time.Millisecond
)

// clearLeftovers ends what a former cox has left, until ctx ends.
func (e *Engine) clearLeftovers(ctx context.Context) {
	var before leftovers
	for range leftoverLooks {
		found, err := e.lookForLeftovers(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			e.log.Warn("looking for containers that were never started", "error", err)
		}
		e.end(ctx, found.since(before))
		before = found
		select {
		case <-ctx.Done():
			return
		case <-time.After(leftoverPeriod):
		}
	}
}

// endLeftovers ends all that is not started yet, where nobody is there who may
// still do it.
func (e *Engine) endLeftovers(ctx context.Context) error {
	found, err := e.lookForLeftovers(ctx)
	e.end(ctx, found)
	return err
}

// leftovers are containers whose tasks are made and not started, and shims for
// which there is not even that.
type leftovers struct {
	tasks map[string]bool
	shims map[shim]bool
}

// since are those that were there before too.
func (l leftovers) since(before leftovers) leftovers {
	both := leftovers{maps.Clone(l.tasks), maps.Clone(l.shims)}
	maps.DeleteFunc(both.tasks, func(id string, _ bool) bool { return !before.tasks[id] })
	maps.DeleteFunc(both.shims, func(s shim, _ bool) bool { return !before.shims[s] })
	return both
}

func (e *Engine) lookForLeftovers(ctx context.Context) (leftovers, error) {
	tasks, err := e.madeTasks(ctx)
	shims, shimsErr := e.strayShims(ctx)
	return leftovers{tasks, shims}, cmp.Or(err, shimsErr)
}

func (e *Engine) end(ctx context.Context, all leftovers) {
	for id := range all.tasks {
		e.endTask(ctx, id)
	}
	for s := range all.shims {
		e.endStray(s)
	}
}

// madeTasks are the containers whose tasks are made and not started.
func (e *Engine) madeTasks(ctx context.Context) (map[string]bool, error) {
	answer, err := tasksapi.NewTasksClient(e.images.conn).List(inNamespace(ctx), &tasksapi.ListTasksRequest{})
	if err != nil {
		return nil, explainRPC("listing tasks", err)
	}
	made := map[string]bool{}
	for _, t := range answer.Tasks {
		if t.Status == task.Status_CREATED {
			made[cmp.Or(t.ContainerID, t.ID)] = true
		}
	}
	return made, nil
}

// endTask kills a task and waits until it is gone. What does not go is tried
// again at the next look.
func (e *Engine) endTask(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(inNamespace(ctx), endDeadline)
	defer cancel()
	client := tasksapi.NewTasksClient(e.images.conn)
	_, err := client.Kill(ctx, &tasksapi.KillRequest{ContainerID: id, Signal: uint32(unix.SIGKILL), All: true})
	for ctx.Err() == nil {
		if _, err = client.Delete(ctx, &tasksapi.DeleteTaskRequest{ContainerID: id}); err == nil {
			e.log.Info("ended a container that was made and never started", "container", id)
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(endPeriod):
		}
	}
	e.log.Warn("a container that was never started does not end", "container", id, "error", err)
}
