package registry

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/rest"
)

// Review describes a resource that is not stored: a client creates an object,
// and is given it back with the answer in its status. It implements Builder.
type Review[O Object] struct {
	Version            schema.GroupVersion
	Resource, Singular string
	ClusterScoped      bool
	New                func() O
	// Answer fills the status of obj. Its errors are returned to the client
	// as they are: see k8s.io/apimachinery/pkg/api/errors.
	Answer func(ctx context.Context, obj O) error
}

// GroupVersion implements Builder.
func (r Review[O]) GroupVersion() schema.GroupVersion { return r.Version }

// AddFieldLabels implements Builder; there is nothing to select from.
func (r Review[O]) AddFieldLabels(*runtime.Scheme) error { return nil }

// Build implements Builder.
func (r Review[O]) Build(*runtime.Scheme, generic.RESTOptionsGetter) (map[string]rest.Storage, error) {
	return map[string]rest.Storage{r.Resource: &reviewStorage[O]{r}}, nil
}

type reviewStorage[O Object] struct{ review Review[O] }

func (s *reviewStorage[O]) New() runtime.Object     { return s.review.New() }
func (s *reviewStorage[O]) Destroy()                {}
func (s *reviewStorage[O]) NamespaceScoped() bool   { return !s.review.ClusterScoped }
func (s *reviewStorage[O]) GetSingularName() string { return s.review.Singular }

// Create implements rest.Creater.
func (s *reviewStorage[O]) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, _ *metav1.CreateOptions) (runtime.Object, error) {
	asked, ok := obj.(O)
	if !ok {
		return nil, errors.NewBadRequest(fmt.Sprintf("not a %s: %T", s.review.Singular, obj))
	}
	if validate != nil {
		if err := validate(ctx, obj.DeepCopyObject()); err != nil {
			return nil, err
		}
	}
	if err := s.review.Answer(ctx, asked); err != nil {
		return nil, err
	}
	return asked, nil
}
