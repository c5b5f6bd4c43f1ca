package cli

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"coxswain.dev/cox/internal/apis/core"
	"coxswain.dev/cox/internal/plan"
)

// observer collects what a plan has to know. What the user may not see is
// noted and left out.
type observer struct {
	*session
	ctx  context.Context
	in   plan.Input
	errs []error
}

// observe reads what is in the cluster.
func (s *session) observe(ctx context.Context, update *planned, manifests []manifest) (plan.Input, error) {
	// Times in the API are whole seconds.
	o := &observer{session: s, ctx: ctx, in: plan.Input{Now: time.Now().Truncate(time.Second), Before: update.before, After: update.after}}
	o.readSets()
	o.readPods()
	o.readNodes()
	o.readQuotas()
	ranges := o.readLimitRanges()
	o.tryPod(ranges, manifests)
	o.findReferences(manifests)
	return o.in, cmp.Or(o.errs...)
}

// seen handles the error of a read that can be done without, and returns
// whether there is none.
func (o *observer) seen(what, without string, err error) bool {
	switch {
	case err == nil:
		return true
	case apierrors.IsForbidden(err):
		o.in.Notes = append(o.in.Notes, plan.Problem{Cause: "Permission", Message: fmt.Sprintf("you may not see %s: %s", what, without)})
	default:
		o.errs = append(o.errs, fmt.Errorf("reading %s: %w", what, err))
	}
	return false
}

// must handles the error of a read without which there is no plan.
func (o *observer) must(what string, err error) {
	if err != nil {
		o.errs = append(o.errs, fmt.Errorf("reading %s: %w", what, err))
	}
}

// readSets keeps the ReplicaSets that the Deployment controls or may adopt.
func (o *observer) readSets() {
	d := o.in.After
	sets, err := o.AppsV1().ReplicaSets(d.Namespace).List(o.ctx, metav1.ListOptions{})
	if o.must("ReplicaSets", err); err != nil {
		return
	}
	selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
	if err != nil {
		selector = labels.Nothing()
	}
	for i := range sets.Items {
		rs := &sets.Items[i]
		orphan := metav1.GetControllerOf(rs) == nil && selector.Matches(labels.Set(rs.Labels))
		if metav1.IsControlledBy(rs, d) || orphan {
			o.in.ReplicaSets = append(o.in.ReplicaSets, rs)
		}
	}
}

func (o *observer) readPods() {
	pods, err := o.CoreV1().Pods(metav1.NamespaceAll).List(o.ctx, metav1.ListOptions{})
	if !o.seen("the Pods of other namespaces", "whether nodes have room is not foreseen", err) {
		pods, err = o.CoreV1().Pods(o.in.After.Namespace).List(o.ctx, metav1.ListOptions{})
		if o.must("Pods", err); err != nil {
			return
		}
	} else {
		o.in.Nodes = []*corev1.Node{}
	}
	for i := range pods.Items {
		o.in.Pods = append(o.in.Pods, &pods.Items[i])
	}
}

// readNodes leaves the nodes unknown if not all their Pods may be seen.
func (o *observer) readNodes() {
	if o.in.Nodes == nil {
		return
	}
	nodes, err := o.CoreV1().Nodes().List(o.ctx, metav1.ListOptions{})
	if !o.seen("nodes", "whether they have room is not foreseen", err) {
		o.in.Nodes = nil
		return
	}
	for i := range nodes.Items {
		o.in.Nodes = append(o.in.Nodes, &nodes.Items[i])
	}
	namespaces, err := o.CoreV1().Namespaces().List(o.ctx, metav1.ListOptions{})
	if !o.seen("namespaces", "rules about the Pods of others may be foreseen wrongly", err) {
		return
	}
	o.in.Namespaces = map[string]labels.Set{}
	for _, namespace := range namespaces.Items {
		o.in.Namespaces[namespace.Name] = namespace.Labels
	}
}

func (o *observer) readQuotas() {
	quotas, err := o.CoreV1().ResourceQuotas(o.in.After.Namespace).List(o.ctx, metav1.ListOptions{})
	if o.seen("quotas", "whether they have room is not foreseen", err) {
		for i := range quotas.Items {
			o.in.Quotas = append(o.in.Quotas, &quotas.Items[i])
		}
	}
}

func (o *observer) readLimitRanges() []corev1.LimitRange {
	ranges, err := o.CoreV1().LimitRanges(o.in.After.Namespace).List(o.ctx, metav1.ListOptions{})
	if !o.seen("limit ranges", "their defaults are not foreseen", err) {
		return nil
	}
	slices.SortFunc(ranges.Items, func(a, b corev1.LimitRange) int { return cmp.Compare(a.Name, b.Name) })
	return ranges.Items
}

// tryPod asks the API for one Pod of the new template, as the ReplicaSet
// controller will. Where a quota has no room for it now, or the user may not
// make Pods, the defaults of limit ranges are filled in here.
func (o *observer) tryPod(ranges []corev1.LimitRange, manifests []manifest) {
	d := o.in.After
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: d.Name + "-", Namespace: d.Namespace,
			Labels: d.Spec.Template.Labels, Annotations: maps.Clone(d.Spec.Template.Annotations)},
		Spec: *d.Spec.Template.Spec.DeepCopy(),
	}
	if _, given := o.given(plan.Target{Kind: "ServiceAccount", Name: pod.Spec.ServiceAccountName}, manifests); given {
		// It is there when the controller makes Pods; now the API would ask for it.
		pod.Spec.ServiceAccountName, pod.Spec.DeprecatedServiceAccount = "", ""
	}
	tried, err := o.CoreV1().Pods(d.Namespace).Create(o.ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err == nil {
		o.in.Pod = tried
		return
	}
	for i := range ranges {
		core.ApplyLimitDefaults(&ranges[i], pod)
	}
	o.in.Pod = pod
	if isQuota(err) {
		return
	}
	if problem, ok := podRefusal(err, ranges); ok {
		o.in.Refused = &problem
		return
	}
	o.seen("whether the API takes Pods of the template", "you may not make Pods, so that none was tried", err)
}
