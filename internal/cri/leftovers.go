package cri

import (
	"cmp"
	"context"
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
	before := map[string]bool{}
	for range leftoverLooks {
		made, err := e.madeTasks(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			e.log.Warn("looking for containers that were never started", "error", err)
		}
		for id := range made {
			if before[id] {
				e.endTask(ctx, id)
			}
		}
		before = made
		select {
		case <-ctx.Done():
			return
		case <-time.After(leftoverPeriod):
		}
	}
}

// endMadeTasks ends all tasks that are made and not started, where nobody is
// there who may still start one.
func (e *Engine) endMadeTasks(ctx context.Context) error {
	made, err := e.madeTasks(ctx)
	for id := range made {
		e.endTask(ctx, id)
	}
	return err
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
