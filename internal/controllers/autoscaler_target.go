package controllers

import (
	"context"
	"fmt"
	"slices"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/scale"
	"k8s.io/client-go/tools/cache"
	metricsclient "k8s.io/metrics/pkg/client/clientset/versioned/typed/metrics/v1beta1"

	"coxswain.dev/cox/internal/autoscale"
)

// scaleTargets finds what autoscalers scale, of any kind that has a scale, and
// what its Pods use.
type scaleTargets struct {
	mapper  meta.RESTMapper
	scales  scale.ScalesGetter
	metrics metricsclient.PodMetricsesGetter
}

func newScaleTargets(b *base) (*scaleTargets, error) {
	// Nothing is read before somebody asks.
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(b.client.Discovery()))
	scales, err := scale.NewForConfig(rest.CopyConfig(b.config.Client), mapper, dynamic.LegacyAPIPathResolverFunc, scale.NewDiscoveryScaleKindResolver(b.client.Discovery()))
	if err != nil {
		return nil, err
	}
	metrics, err := metricsclient.NewForConfig(b.config.Client)
	if err != nil {
		return nil, err
	}
	return &scaleTargets{mapper, scales, metrics}, nil
}

// scaleTarget is how large an autoscaler's target is, or why that is not known.
type scaleTarget struct {
	scales   scale.ScaleInterface
	resource schema.GroupResource
	scale    *autoscalingv1.Scale
	err      error
}

// find reads the target's scale from the API itself: a cache would have it as
// it was before the last rescale.
func (t *scaleTargets) find(ctx context.Context, hpa *autoscalingv2.HorizontalPodAutoscaler) scaleTarget {
	ref := hpa.Spec.ScaleTargetRef
	version, err := schema.ParseGroupVersion(ref.APIVersion)
	if err != nil {
		return scaleTarget{err: err}
	}
	mappings, err := t.mapper.RESTMappings(schema.GroupKind{Group: version.Group, Kind: ref.Kind})
	if err != nil {
		return scaleTarget{err: err}
	}
	target := scaleTarget{scales: t.scales.Scales(hpa.Namespace), err: fmt.Errorf("unrecognized resource")}
	for i, mapping := range mappings {
		found, err := target.scales.Get(ctx, mapping.Resource.GroupResource(), ref.Name, metav1.GetOptions{})
		if err == nil {
			target.resource, target.scale, target.err = mapping.Resource.GroupResource(), found, nil
			return target
		}
		if i == 0 {
			target.err = err
		}
	}
	return target
}

// selector is empty if the target is not known or has none.
func (t scaleTarget) selector() string {
	if t.scale == nil {
		return ""
	}
	return t.scale.Status.Selector
}

func (t scaleTarget) rescale(ctx context.Context, replicas int32) error {
	wanted := t.scale.DeepCopy()
	wanted.Spec.Replicas = replicas
	_, err := t.scales.Update(ctx, t.resource, wanted, metav1.UpdateOptions{})
	return err
}

// usage is what the selected Pods use.
func (t *scaleTargets) usage(ctx context.Context, namespace, selector string) ([]autoscale.Usage, error) {
	listed, err := t.metrics.PodMetricses(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, err
	}
	var all []autoscale.Usage
	for _, pod := range listed.Items {
		usage := autoscale.Usage{Pod: pod.Name, End: pod.Timestamp.Time, Window: pod.Window.Duration}
		for _, c := range pod.Containers {
			usage.Containers = append(usage.Containers, autoscale.ContainerUsage{Name: c.Name, Used: c.Usage})
		}
		all = append(all, usage)
	}
	return all, nil
}

// podsSelected are the Pods of a namespace that a selector selects; none for one
// that cannot be read, about which the core has a word.
func podsSelected(pods cache.Indexer, namespace, text string) ([]*corev1.Pod, error) {
	selector, err := labels.Parse(text)
	if err != nil {
		return nil, nil
	}
	items, err := pods.ByIndex(cache.NamespaceIndex, namespace)
	if err != nil {
		return nil, err
	}
	var selected []*corev1.Pod
	for _, item := range items {
		if pod := item.(*corev1.Pod); selector.Matches(labels.Set(pod.Labels)) {
			selected = append(selected, pod)
		}
	}
	return selected, nil
}

// rivals are the autoscalers, this one too, whose targets select one of the
// Pods, as far as it is known what they select.
func (c *autoscalers) rivals(hpa *autoscalingv2.HorizontalPodAutoscaler, own string, pods []*corev1.Pod) []string {
	c.mu.Lock()
	selectors := map[key]string{}
	for k, other := range c.remembered {
		if k.Namespace == hpa.Namespace {
			selectors[k] = other.selector
		}
	}
	c.mu.Unlock()
	selectors[keyOf(hpa)] = own
	var names []string
	for k, text := range selectors {
		selector, err := labels.Parse(text)
		if text == "" || err != nil {
			continue
		}
		if slices.ContainsFunc(pods, func(pod *corev1.Pod) bool { return selector.Matches(labels.Set(pod.Labels)) }) {
			names = append(names, k.String())
		}
	}
	slices.Sort(names)
	return names
}
