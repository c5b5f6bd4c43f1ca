package agent

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// watchPods gives every Pod of this node a worker, and lets it know of every
// change. It returns once all Pods there are have one.
func (a *Agent) watchPods(ctx context.Context) error {
	selector := fields.OneTermEqualSelector("spec.nodeName", a.config.NodeName).String()
	pods := a.config.Client.CoreV1().Pods(metav1.NamespaceAll)
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: &cache.ListWatch{
			ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
				options.FieldSelector = selector
				return pods.List(ctx, options)
			},
			WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
				options.FieldSelector = selector
				return pods.Watch(ctx, options)
			},
		},
		ObjectType: &corev1.Pod{},
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    func(object any) { a.see(ctx, object.(*corev1.Pod)) },
			UpdateFunc: func(_, object any) { a.see(ctx, object.(*corev1.Pod)) },
			DeleteFunc: a.forget,
		},
	})
	a.running.Go(func() { informer.RunWithContext(ctx) })
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return ended(ctx)
	}
	return a.adoptOrphans(ctx)
}

// see takes a new version of a Pod.
func (a *Agent) see(ctx context.Context, pod *corev1.Pod) {
	a.mu.Lock()
	w := a.workers[pod.UID]
	if w == nil {
		w = a.newWorker(ctx, pod)
	}
	a.mu.Unlock()
	w.see(pod)
}

// newWorker starts a worker. The caller holds the lock.
func (a *Agent) newWorker(ctx context.Context, pod *corev1.Pod) *worker {
	w := newWorker(quiet(ctx), a, pod)
	a.workers[pod.UID] = w
	a.byName[pod.Namespace+"/"+pod.Name] = pod.UID
	a.running.Go(func() {
		w.run()
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.workers, pod.UID)
		if name := pod.Namespace + "/" + pod.Name; a.byName[name] == pod.UID {
			delete(a.byName, name)
		}
	})
	return w
}

// forget lets a worker know that its Pod is no more.
func (a *Agent) forget(object any) {
	if unknown, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = unknown.Obj
	}
	if pod, ok := object.(*corev1.Pod); ok {
		if w := a.workerOf(pod.UID); w != nil {
			w.goneFromAPI(pod)
		}
	}
}

// adoptOrphans gives workers to what is left of Pods that were deleted while
// no agent ran: they stop and remove it. Other owners' Pods, on a runtime that is
// shared with them, are left alone.
func (a *Agent) adoptOrphans(ctx context.Context) error {
	ours := &runtimeapi.PodSandboxFilter{LabelSelector: a.config.OwnLabels}
	sandboxes, err := a.runtime.ListPodSandbox(ctx, ours)
	if err != nil {
		return err
	}
	left := map[types.UID]*corev1.Pod{}
	for _, sandbox := range sandboxes {
		uid := types.UID(sandbox.Labels[podUIDLabel])
		left[uid] = &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			UID: uid, Name: sandbox.Labels[podNameLabel], Namespace: sandbox.Labels[podNamespaceLabel],
		}}
	}
	folders, err := a.volumes.Pods()
	if err != nil {
		return err
	}
	for _, uid := range folders {
		if left[uid] == nil {
			left[uid] = &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: uid}}
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for uid, pod := range left {
		if a.workers[uid] != nil {
			continue
		}
		w := a.newWorker(ctx, pod)
		w.goneFromAPI(pod)
	}
	return nil
}
