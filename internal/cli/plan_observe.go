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
	"sigs.k8s.io/yaml"

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
	o := &observer{session: s, ctx: ctx, in: plan.Input{Now: time.Now(), Before: update.before, After: update.after}}
	o.readSets()
	o.readPods()
	o.readNodes()
	o.readQuotas()
	ranges := o.readLimitRanges()
	o.tryPod(ranges)
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
func (o *observer) tryPod(ranges []corev1.LimitRange) {
	d := o.in.After
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: d.Name + "-", Namespace: d.Namespace,
			Labels: d.Spec.Template.Labels, Annotations: maps.Clone(d.Spec.Template.Annotations)},
		Spec: *d.Spec.Template.Spec.DeepCopy(),
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
	if problem, ok := podRefusal(err); ok {
		o.in.Refused = &problem
		return
	}
	o.seen("whether the API takes Pods of the template", "you may not make Pods, so that none was tried", err)
}

// findReferences looks for what the Pods need: in the cluster, and among the
// manifests, which are there when the Deployment is.
func (o *observer) findReferences(manifests []manifest) {
	references := plan.References(&o.in.After.Spec.Template.Spec)
	found := plan.Found{}
	for _, reference := range references {
		if _, known := found[reference.Target]; known {
			continue
		}
		if keys, given := o.given(reference.Target, manifests); given {
			found[reference.Target] = keys
			continue
		}
		keys, err := o.keysOf(reference.Target)
		switch {
		case err == nil:
			found[reference.Target] = keys
		case !apierrors.IsNotFound(err):
			found[reference.Target] = nil
			o.seen(fmt.Sprintf("%s %s", reference.Kind, reference.Name), "whether it is there is not foreseen", err)
		}
	}
	refused, unready, notes := plan.Missing(references, found, o.in.After.Namespace)
	if refused != nil {
		// Said better than by the API.
		o.in.Refused = refused
	}
	o.in.Unready, o.in.Notes = append(o.in.Unready, unready...), append(o.in.Notes, notes...)
}

// keysOf are the keys of an object in the cluster.
func (o *observer) keysOf(target plan.Target) ([]string, error) {
	namespace := o.in.After.Namespace
	switch target.Kind {
	case "ConfigMap":
		object, err := o.CoreV1().ConfigMaps(namespace).Get(o.ctx, target.Name, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		return append(slices.AppendSeq([]string{}, maps.Keys(object.Data)), slices.Collect(maps.Keys(object.BinaryData))...), nil
	case "Secret":
		object, err := o.CoreV1().Secrets(namespace).Get(o.ctx, target.Name, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		return slices.AppendSeq([]string{}, maps.Keys(object.Data)), nil
	default:
		_, err := o.CoreV1().ServiceAccounts(namespace).Get(o.ctx, target.Name, metav1.GetOptions{})
		return nil, err
	}
}

// given looks for an object among the manifests.
func (o *observer) given(target plan.Target, manifests []manifest) (keys []string, found bool) {
	for _, m := range manifests {
		namespace, err := o.namespaceOf(m)
		if err != nil || m.APIVersion != "v1" || m.Kind != target.Kind || m.Metadata.Name != target.Name || namespace != o.in.After.Namespace {
			continue
		}
		var content struct {
			Data, StringData, BinaryData map[string]string
		}
		if err := yaml.Unmarshal(m.json, &content); err != nil {
			return nil, true
		}
		keys = []string{}
		for _, data := range []map[string]string{content.Data, content.StringData, content.BinaryData} {
			keys = slices.AppendSeq(keys, maps.Keys(data))
		}
		return keys, true
	}
	return nil, false
}
