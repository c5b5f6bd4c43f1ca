package controllers

import (
	"context"
	"slices"
	"sync"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"

	"coxswain.dev/cox/internal/autoscale"
)

// autoscalers drives package autoscale. Without an autoscaler it does nothing:
// nobody is asked what Pods use.
type autoscalers struct {
	*base
	*loop
	autoscalers, pods cache.SharedIndexInformer
	targets           *scaleTargets
	events            record.EventRecorder

	mu sync.Mutex
	// remembered is what the core remembers of each autoscaler, and which Pods
	// its target selected last.
	remembered map[key]remembered
}

// agentStart is how long autoscalers that are there from the start wait. The
// agent, which tells what Pods use, starts after the controllers, and that
// nothing is known of them would be said for nothing.
const agentStart = 5 * time.Second

type remembered struct {
	uid      types.UID
	history  autoscale.History
	selector string
}

func newAutoscalers(b *base) (*loop, error) {
	targets, err := newScaleTargets(b)
	if err != nil {
		return nil, err
	}
	c := &autoscalers{
		base: b, loop: newLoop("autoscaler", 2, b.log), targets: targets,
		autoscalers: b.Autoscaling().V2().HorizontalPodAutoscalers().Informer(), pods: b.Core().V1().Pods().Informer(),
		events: b.recorder("horizontal-pod-autoscaler"), remembered: map[key]remembered{},
	}
	c.loop.reconcile = c.reconcile
	_, err = c.autoscalers.AddEventHandler(cache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(obj any, old bool) {
			if old {
				c.queue.AddAfter(keyOf(obj.(metav1.Object)), agentStart)
				return
			}
			c.queue.Add(keyOf(obj.(metav1.Object)))
		},
		UpdateFunc: func(old, obj any) {
			// Its own status wakes nobody.
			before, after := old.(metav1.Object), obj.(metav1.Object)
			if before.GetUID() != after.GetUID() || before.GetGeneration() != after.GetGeneration() {
				c.queue.Add(keyOf(after))
			}
		},
		DeleteFunc: func(obj any) {
			if k, err := cache.DeletionHandlingObjectToName(obj); err == nil {
				c.queue.Add(key{Namespace: k.Namespace, Name: k.Name})
			}
		},
	})
	if err != nil {
		return nil, err
	}
	return c.loop, watchOwn(c.own, c.autoscalers)
}

func (c *autoscalers) reconcile(ctx context.Context, k key) (time.Time, error) {
	item, exists, err := c.autoscalers.GetStore().GetByKey(k.String())
	if err != nil || !exists {
		c.forget(k)
		return time.Time{}, err
	}
	hpa := item.(*autoscalingv2.HorizontalPodAutoscaler)
	target := c.targets.find(ctx, hpa)
	s, err := c.snapshot(ctx, hpa, target)
	if err != nil {
		return time.Time{}, err
	}
	decision := autoscale.Decide(s)
	if decision.Rescale != nil {
		err := target.rescale(ctx, decision.Rescale.Replicas)
		if apierrors.IsConflict(err) {
			return time.Time{}, err // somebody else has changed it meanwhile: look again
		}
		if err != nil {
			decision = decision.Refused(s, err.Error())
		}
	}
	c.remember(hpa, decision.History, target.selector())
	for _, event := range decision.Events {
		c.events.Event(hpa, event.Type, event.Reason, event.Message)
	}
	return decision.WakeAt, c.writeStatus(ctx, hpa, decision.Status)
}

func (c *autoscalers) writeStatus(ctx context.Context, hpa *autoscalingv2.HorizontalPodAutoscaler, status autoscalingv2.HorizontalPodAutoscalerStatus) error {
	if equality.Semantic.DeepEqual(hpa.Status, status) {
		return nil
	}
	changed := hpa.DeepCopy()
	changed.Status = status
	written, err := c.client.AutoscalingV2().HorizontalPodAutoscalers(hpa.Namespace).UpdateStatus(ctx, changed, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	c.own.Wrote(keyOf(hpa), c.autoscalers.GetIndexer(), written)
	return nil
}

// snapshot is all that the core looks at.
func (c *autoscalers) snapshot(ctx context.Context, hpa *autoscalingv2.HorizontalPodAutoscaler, target scaleTarget) (autoscale.Snapshot, error) {
	s := autoscale.Snapshot{Autoscaler: hpa, Scale: target.scale, History: c.historyOf(hpa)}
	if target.err != nil {
		s.ScaleError = target.err.Error()
	}
	if selector := target.selector(); s.Scale != nil && s.Scale.Spec.Replicas > 0 && selector != "" {
		var err error
		if s.Pods, err = podsSelected(c.pods.GetIndexer(), hpa.Namespace, selector); err != nil {
			return s, err
		}
		s.Rivals = c.rivals(hpa, selector, s.Pods)
		if followsResources(hpa) {
			if s.Usage, err = c.targets.usage(ctx, hpa.Namespace, selector); err != nil {
				s.UsageError = err.Error()
			}
		}
	}
	// After the question, which may have waited for a sample.
	s.Now = now()
	return s, nil
}

// followsResources tells whether it has to be known what Pods use.
func followsResources(hpa *autoscalingv2.HorizontalPodAutoscaler) bool {
	return slices.ContainsFunc(hpa.Spec.Metrics, func(m autoscalingv2.MetricSpec) bool { return m.Resource != nil || m.ContainerResource != nil })
}

func (c *autoscalers) historyOf(hpa *autoscalingv2.HorizontalPodAutoscaler) autoscale.History {
	c.mu.Lock()
	defer c.mu.Unlock()
	if found := c.remembered[keyOf(hpa)]; found.uid == hpa.UID {
		return found.history
	}
	return autoscale.History{}
}

func (c *autoscalers) remember(hpa *autoscalingv2.HorizontalPodAutoscaler, history autoscale.History, selector string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remembered[keyOf(hpa)] = remembered{hpa.UID, history, selector}
}

func (c *autoscalers) forget(k key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.remembered, k)
}
