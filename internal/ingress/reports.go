package ingress

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"
)

// account is what is to be told of all Ingresses that are served.
type account struct {
	ours      []*networkingv1.Ingress
	addresses []netip.Addr
	problems  []Problem
}

// reports tell what becomes of each Ingress: its status, and events about what
// is wrong with it. They work beside the front, which must not wait for the API
// when a Pod leaves.
type reports struct {
	client kubernetes.Interface
	log    *slog.Logger

	mu   sync.Mutex
	next account
	// news has room for one signal that next has changed.
	news chan struct{}

	// known are the Ingresses that were served, with what was said of them.
	known map[types.UID]*report
	// broadcaster exists once there was something to say.
	broadcaster record.EventBroadcaster
	recorder    record.EventRecorder
}

type report struct {
	ingress *networkingv1.Ingress
	// status is what we made it say.
	status networkingv1.IngressLoadBalancerStatus
	said   map[string]bool
}

// tell sets what is to be told, instead of what has not been told yet.
func (r *reports) tell(now account) {
	r.mu.Lock()
	r.next = now
	r.mu.Unlock()
	select {
	case r.news <- struct{}{}:
	default:
	}
}

// run tells until ctx ends.
func (r *reports) run(ctx context.Context) {
	defer r.close()
	var retry <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.news:
		case <-retry:
		}
		r.mu.Lock()
		now := r.next
		r.mu.Unlock()
		retry = nil
		if !r.update(ctx, now) {
			retry = time.After(retryPause)
		}
	}
}

// update says what is new, and writes every status that is not as it should
// be. It is false if one could not be written.
func (r *reports) update(ctx context.Context, now account) bool {
	before := r.known
	r.known = map[types.UID]*report{}
	status := statusOf(now.addresses)
	for _, ingress := range now.ours {
		r.known[ingress.UID] = &report{ingress: ingress, status: status, said: map[string]bool{}}
	}
	for _, problem := range now.problems {
		current, was := r.known[problem.Ingress.UID], before[problem.Ingress.UID]
		text := problem.Reason + ": " + problem.Message
		if !current.said[text] && (was == nil || !was.said[text]) {
			r.event(problem)
		}
		current.said[text] = true
	}
	written := true
	for _, ingress := range now.ours {
		written = r.write(ctx, ingress, status) && written
	}
	for uid, was := range before {
		if r.known[uid] == nil {
			r.release(ctx, was)
		}
	}
	return written
}

func statusOf(addresses []netip.Addr) networkingv1.IngressLoadBalancerStatus {
	var status networkingv1.IngressLoadBalancerStatus
	for _, address := range addresses {
		status.Ingress = append(status.Ingress, networkingv1.IngressLoadBalancerIngress{IP: address.String()})
	}
	return status
}

// write makes an Ingress's status say where it answers.
func (r *reports) write(ctx context.Context, ingress *networkingv1.Ingress, status networkingv1.IngressLoadBalancerStatus) bool {
	if equality.Semantic.DeepEqual(ingress.Status.LoadBalancer, status) {
		return true
	}
	changed := ingress.DeepCopy()
	changed.Status.LoadBalancer = status
	_, err := r.client.NetworkingV1().Ingresses(ingress.Namespace).UpdateStatus(ctx, changed, metav1.UpdateOptions{})
	if err == nil || apierrors.IsNotFound(err) || ctx.Err() != nil {
		return true
	}
	if !apierrors.IsConflict(err) { // after a conflict the informer tells of the newer version
		r.log.Error("writing the status of an Ingress", "ingress", ingress.Namespace+"/"+ingress.Name, "error", err)
	}
	return false
}

// release takes our addresses out of an Ingress that somebody else serves now.
func (r *reports) release(ctx context.Context, was *report) {
	now, err := r.client.NetworkingV1().Ingresses(was.ingress.Namespace).Get(ctx, was.ingress.Name, metav1.GetOptions{})
	if err == nil && now.UID == was.ingress.UID && equality.Semantic.DeepEqual(now.Status.LoadBalancer, was.status) {
		r.write(ctx, now, networkingv1.IngressLoadBalancerStatus{})
	}
}

func (r *reports) event(problem Problem) {
	if r.recorder == nil {
		r.broadcaster = record.NewBroadcaster()
		r.broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: r.client.CoreV1().Events("")})
		r.recorder = r.broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "coxswain-ingress"})
	}
	r.recorder.Event(problem.Ingress, corev1.EventTypeWarning, problem.Reason, problem.Message)
}

func (r *reports) close() {
	if r.broadcaster != nil {
		r.broadcaster.Shutdown()
	}
}
