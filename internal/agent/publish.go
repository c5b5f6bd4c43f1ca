package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

// publisher writes one Pod's status. Statuses that come while one is being
// written are coalesced: the newest one follows. A write that fails is
// repeated until it works or a newer one takes its place.
type publisher struct {
	worker *worker
	wake   chan struct{}

	mu sync.Mutex
	// base is the newest Pod that the API has shown.
	base *corev1.Pod
	// wanted is what the API is to show, nil before the first decision.
	wanted *corev1.PodStatus
	// idle is closed when wanted is written.
	idle chan struct{}
}

func newPublisher(w *worker) *publisher {
	idle := make(chan struct{})
	close(idle)
	return &publisher{worker: w, wake: make(chan struct{}, 1), base: w.pod, idle: idle}
}

// seen takes what the API shows, unless something newer is known.
func (p *publisher) seen(pod *corev1.Pod) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if order, err := resourceversion.CompareResourceVersion(pod.ResourceVersion, p.base.ResourceVersion); err == nil && order < 0 {
		return
	}
	p.base = pod
}

// status is called with every decision.
func (p *publisher) status(status corev1.PodStatus) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wanted != nil && equality.Semantic.DeepEqual(*p.wanted, status) {
		return
	}
	p.wanted = &status
	if p.done() {
		p.idle = make(chan struct{})
	}
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *publisher) done() bool {
	select {
	case <-p.idle:
		return true
	default:
		return false
	}
}

// The pauses after a write that failed.
const (
	firstWritePause = 20 * time.Millisecond
	maxWritePause   = 5 * time.Second
)

// run writes until ctx ends.
func (p *publisher) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		}
		for pause := firstWritePause; ; pause = min(2*pause, maxWritePause) {
			err := p.write(ctx)
			if err == nil {
				break
			}
			p.worker.log.Warn("the Pod's status was not written, trying again", "error", err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
		}
	}
}

// write brings the API to the wanted status, in one patch.
func (p *publisher) write(ctx context.Context) error {
	p.mu.Lock()
	base, wanted := p.base, p.wanted
	p.mu.Unlock()
	patch, err := statusPatch(base, wanted)
	if err != nil {
		return err
	}
	if patch != nil {
		pods := p.worker.agent.config.Client.CoreV1().Pods(base.Namespace)
		updated, err := pods.Patch(ctx, base.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
		switch {
		case apierrors.IsNotFound(err) || apierrors.IsConflict(err) && replaced(ctx, p):
			// Nobody is left to tell.
		case err != nil:
			return err
		default:
			p.seen(updated)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wanted == wanted && !p.done() {
		close(p.idle)
	}
	return nil
}

// replaced tells whether the name belongs to another Pod by now.
func replaced(ctx context.Context, p *publisher) bool {
	now, err := p.worker.agent.config.Client.CoreV1().Pods(p.base.Namespace).Get(ctx, p.base.Name, metav1.GetOptions{})
	return apierrors.IsNotFound(err) || err == nil && now.UID != p.base.UID
}

// statusPatch leads from the Pod's status to the wanted one; nil if they are
// the same. It fits that Pod only, by its UID.
func statusPatch(base *corev1.Pod, wanted *corev1.PodStatus) ([]byte, error) {
	if equality.Semantic.DeepEqual(base.Status, *wanted) {
		return nil, nil
	}
	old, err := json.Marshal(&corev1.Pod{Status: base.Status})
	if err != nil {
		return nil, err
	}
	next, err := json.Marshal(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: base.UID}, Status: *wanted})
	if err != nil {
		return nil, err
	}
	patch, err := strategicpatch.CreateTwoWayMergePatch(old, next, &corev1.Pod{})
	if err != nil {
		return nil, fmt.Errorf("working out the change of the status: %w", err)
	}
	if string(patch) == fmt.Sprintf(`{"metadata":{"uid":%q}}`, base.UID) {
		return nil, nil
	}
	return patch, nil
}

// delete deletes the Pod from the API for good, after its last status.
func (p *publisher) delete(ctx context.Context) error {
	p.mu.Lock()
	idle := p.idle
	p.mu.Unlock()
	select {
	case <-idle:
	case <-ctx.Done():
		return ctx.Err()
	}
	now, uid := int64(0), p.base.UID
	err := p.worker.agent.config.Client.CoreV1().Pods(p.base.Namespace).Delete(ctx, p.base.Name,
		metav1.DeleteOptions{GracePeriodSeconds: &now, Preconditions: &metav1.Preconditions{UID: &uid}})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) && replaced(ctx, p) {
		p.worker.goneFromAPI(p.worker.newest())
		return nil
	}
	return err
}
