package agent

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/klog/v2"
)

// The stream of the runtime's events, and how it is kept honest.
const (
	// eventRoom holds the events of a burst while workers are being woken.
	eventRoom = 256
	// auditPeriod is how often everything is looked at, should an event have
	// been lost.
	auditPeriod = 5 * time.Minute
	// secondLook follows a subscription: what happens while the runtime sets
	// it up is in neither the list before nor the stream.
	secondLook = time.Second

	firstReconnect = 50 * time.Millisecond
	maxReconnect   = 2 * time.Second
)

// quiet is ctx for calls of the runtime. Its client logs every error that it
// returns; those that matter are told by the agent itself, with the Pod's name.
func quiet(ctx context.Context) context.Context { return klog.NewContext(ctx, klog.Logger{}) }

// followRuntime wakes the workers whose containers have changed, until ctx
// ends. It subscribes first and looks at everything then.
func (a *Agent) followRuntime(ctx context.Context) {
	pause := firstReconnect
	for ctx.Err() == nil {
		began := time.Now()
		err := a.followOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		a.log.Warn("the container runtime's events have ended, subscribing again", "error", err)
		if time.Since(began) > maxReconnect {
			pause = firstReconnect
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, maxReconnect)
	}
}

// followOnce lives as long as one subscription.
func (a *Agent) followOnce(ctx context.Context) error {
	ctx, cancel := context.WithCancel(quiet(ctx))
	defer cancel()
	events := make(chan *runtimeapi.ContainerEventResponse, eventRoom)
	ended := make(chan error, 1)
	look := time.NewTimer(0)
	defer look.Stop()
	go func() { ended <- a.runtime.GetContainerEvents(ctx, events, nil) }()
	next := secondLook
	for {
		select {
		case err := <-ended:
			return err
		case event := <-events:
			a.runtimeEvent(event)
		case <-look.C:
			for _, w := range a.allWorkers() {
				w.runtimeChanged()
			}
			look.Reset(next)
			next = auditPeriod
		}
	}
}

func (a *Agent) runtimeEvent(event *runtimeapi.ContainerEventResponse) {
	uid := event.GetPodSandboxStatus().GetMetadata().GetUid()
	for _, container := range event.GetContainersStatuses() {
		if uid == "" {
			uid = container.Labels[podUIDLabel]
		}
	}
	if w := a.workerOf(types.UID(uid)); w != nil {
		w.runtimeChanged()
	}
}
