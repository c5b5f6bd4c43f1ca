// Package events serves Events a second time, as events.k8s.io/v1 describes
// them. They are the Events of core/v1: what one group stores the other shows.
package events

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"

	api "coxswain.dev/cox/internal/apis/core"
	"coxswain.dev/cox/internal/registry"
	"coxswain.dev/cox/internal/registry/core"
)

// Kinds returns every resource of the group.
func Kinds() []registry.Builder { return []registry.Builder{event()} }

// kind is the core kind under another version. Both have a store, over the
// same keys: Events are not cached, so that costs nothing.
type kind struct{ registry.Kind[*corev1.Event] }

func event() registry.Builder {
	shared := core.Event()
	shared.Version = eventsv1.SchemeGroupVersion
	shared.Validate = func(_ context.Context, obj *corev1.Event) field.ErrorList { return api.ValidateNewEvent(obj) }
	shared.ValidateUpdate = func(_ context.Context, obj, old *corev1.Event) field.ErrorList {
		return api.ValidateNewEventUpdate(obj, old)
	}
	keep := shared.Store
	shared.Store = func(store *genericregistry.Store) {
		keep(store)
		store.DefaultQualifiedResource = corev1.Resource("events") // errors say the same in both groups
	}
	return kind{shared}
}

// labels are the field selectors of this version, and what they select by.
var labels = map[string]string{
	"metadata.name":             "metadata.name",
	"metadata.namespace":        "metadata.namespace",
	"reason":                    "reason",
	"reportingController":       "reportingComponent",
	"type":                      "type",
	"regarding.kind":            "involvedObject.kind",
	"regarding.namespace":       "involvedObject.namespace",
	"regarding.name":            "involvedObject.name",
	"regarding.uid":             "involvedObject.uid",
	"regarding.apiVersion":      "involvedObject.apiVersion",
	"regarding.resourceVersion": "involvedObject.resourceVersion",
	"regarding.fieldPath":       "involvedObject.fieldPath",
}

// AddFieldLabels implements registry.Builder.
func (kind) AddFieldLabels(scheme *runtime.Scheme) error {
	return scheme.AddFieldLabelConversionFunc(eventsv1.SchemeGroupVersion.WithKind("Event"), func(label, value string) (string, string, error) {
		stored, known := labels[label]
		if !known {
			return "", "", fmt.Errorf("field label not supported: %s", label)
		}
		return stored, value, nil
	})
}
