package metrics

import (
	"context"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternal "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/rest"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"

	"coxswain.dev/cox/internal/registry"
)

// Objects are the Pods and Nodes that are asked about.
type Objects interface {
	Get(ctx context.Context, resource, namespace, name string) (metav1.Object, error)
	List(ctx context.Context, resource, namespace string, options *metainternal.ListOptions) (runtime.Object, error)
}

// NodeDialer finds the handler of a node's agent.
type NodeDialer interface {
	Node(name string) (http.Handler, error)
}

// Kinds returns every resource of the group. nodes may be nil: then nothing is
// known of any.
func Kinds(objects Objects, nodes NodeDialer) []registry.Builder {
	agents := agents{nodes}
	return []registry.Builder{
		kind{"pods", "PodMetrics", &podStorage{objects: objects, agents: agents}},
		kind{"nodes", "NodeMetrics", &nodeStorage{objects: objects, agents: agents}},
	}
}

// kind is one resource.
type kind struct {
	resource, kind string
	storage        rest.Storage
}

// GroupVersion implements registry.Builder.
func (kind) GroupVersion() schema.GroupVersion { return metricsv1beta1.SchemeGroupVersion }

// Build implements registry.Builder.
func (k kind) Build(*runtime.Scheme, generic.RESTOptionsGetter) (map[string]rest.Storage, error) {
	return map[string]rest.Storage{k.resource: k.storage}, nil
}

// AddFieldLabels implements registry.Builder.
func (k kind) AddFieldLabels(scheme *runtime.Scheme) error {
	return scheme.AddFieldLabelConversionFunc(k.GroupVersion().WithKind(k.kind), runtime.DefaultMetaV1FieldSelectorConversion)
}

// notFound says that the object is there, but nothing is known of what it
// uses. The words are metrics-server's.
func notFound(resource, name string) error {
	return apierrors.NewNotFound(metricsv1beta1.Resource(resource), name)
}

// wrongType is an error of ours.
func wrongType(object any) error { return fmt.Errorf("a %T was stored where it cannot be", object) }
