package core

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"

	api "coxswain.dev/cox/internal/apis/core"
	"coxswain.dev/cox/internal/registry"
)

// eventTTLSeconds is how long an Event is kept (kube-apiserver's --event-ttl).
const eventTTLSeconds = 60 * 60

// Event is exported for events.k8s.io, which serves the same objects.
func Event() registry.Kind[*corev1.Event] {
	return registry.Kind[*corev1.Event]{
		Version: corev1.SchemeGroupVersion, Resource: "events", Singular: "event", ShortNames: []string{"ev"},
		New:                 func() *corev1.Event { return &corev1.Event{} },
		NewList:             func() runtime.Object { return &corev1.EventList{} },
		AllowCreateOnUpdate: true,
		Validate:            func(_ context.Context, obj *corev1.Event) field.ErrorList { return api.ValidateEvent(obj) },
		ValidateUpdate:      func(_ context.Context, obj, _ *corev1.Event) field.ErrorList { return api.ValidateEvent(obj) },
		Fields:              eventFields,
		Columns: []metav1.TableColumnDefinition{
			registry.Column("Last Seen", "string", corev1.Event{}.SwaggerDoc()["lastTimestamp"]),
			registry.Column("Type", "string", corev1.Event{}.SwaggerDoc()["type"]),
			registry.Column("Reason", "string", corev1.Event{}.SwaggerDoc()["reason"]),
			registry.Column("Object", "string", corev1.Event{}.SwaggerDoc()["involvedObject"]),
			registry.WideColumn("Subobject", "string", corev1.ObjectReference{}.SwaggerDoc()["fieldPath"]),
			registry.WideColumn("Source", "string", corev1.Event{}.SwaggerDoc()["source"]),
			registry.Column("Message", "string", corev1.Event{}.SwaggerDoc()["message"]),
			registry.WideColumn("First Seen", "string", corev1.Event{}.SwaggerDoc()["firstTimestamp"]),
			registry.WideColumn("Count", "string", corev1.Event{}.SwaggerDoc()["count"]),
			{Name: "Name", Type: "string", Format: "name", Priority: 1, Description: metav1.ObjectMeta{}.SwaggerDoc()["name"]},
		},
		Row: eventRow,
		Store: func(store *genericregistry.Store) {
			store.TTLFunc = func(runtime.Object, uint64, bool) (uint64, error) { return eventTTLSeconds, nil }
		},
	}
}

func eventFields(obj *corev1.Event) fields.Set {
	source := obj.Source.Component
	if source == "" {
		source = obj.ReportingController
	}
	about := obj.InvolvedObject
	return fields.Set{
		"involvedObject.kind":            about.Kind,
		"involvedObject.namespace":       about.Namespace,
		"involvedObject.name":            about.Name,
		"involvedObject.uid":             string(about.UID),
		"involvedObject.apiVersion":      about.APIVersion,
		"involvedObject.resourceVersion": about.ResourceVersion,
		"involvedObject.fieldPath":       about.FieldPath,
		"reason":                         obj.Reason,
		"reportingComponent":             obj.ReportingController,
		"source":                         source,
		"type":                           obj.Type,
	}
}

func eventRow(obj *corev1.Event) []any {
	first := since(obj.FirstTimestamp.Time)
	if obj.FirstTimestamp.IsZero() {
		first = since(obj.EventTime.Time)
	}
	last := since(obj.LastTimestamp.Time)
	if obj.LastTimestamp.IsZero() {
		last = first
	}
	count := obj.Count
	switch {
	case obj.Series != nil:
		last, count = since(obj.Series.LastObservedTime.Time), obj.Series.Count
	case count == 0:
		count = 1 // one that events.k8s.io made
	}
	target := strings.ToLower(obj.InvolvedObject.Kind)
	if obj.InvolvedObject.Name != "" {
		target += "/" + obj.InvolvedObject.Name
	}
	return []any{last, obj.Type, obj.Reason, target, obj.InvolvedObject.FieldPath, eventSource(obj), strings.TrimSpace(obj.Message), first, int64(count), obj.Name}
}

func eventSource(obj *corev1.Event) string {
	component, host := obj.Source.Component, obj.Source.Host
	if component == "" {
		component, host = obj.ReportingController, obj.ReportingInstance
	}
	if host == "" {
		return component
	}
	return fmt.Sprintf("%s, %s", component, host)
}

func since(t time.Time) string {
	if t.IsZero() {
		return "<unknown>"
	}
	return duration.HumanDuration(time.Since(t))
}
