package core

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const (
	maxEventName    = 128 // of a reporting instance, an action or a reason
	maxEventMessage = 1024
)

// ValidateEvent checks an Event that came through core/v1.
func ValidateEvent(event *corev1.Event) field.ErrorList {
	return validateEvent(event, "reportingComponent")
}

// ValidateNewEvent checks an Event that came through events.k8s.io/v1, where
// what recorders wrote before is refused.
func ValidateNewEvent(event *corev1.Event) field.ErrorList {
	errs := validateEvent(event, "reportingController")
	errs = append(errs, validateSeries(event)...)
	if event.EventTime.IsZero() {
		errs = append(errs, field.Required(field.NewPath("eventTime"), ""))
	}
	if event.Type != corev1.EventTypeNormal && event.Type != corev1.EventTypeWarning {
		errs = append(errs, field.Invalid(field.NewPath("type"), "", fmt.Sprintf("has invalid value: %v", event.Type)))
	}
	for _, old := range []struct {
		name string
		set  bool
	}{{"firstTimestamp", !event.FirstTimestamp.IsZero()}, {"lastTimestamp", !event.LastTimestamp.IsZero()},
		{"count", event.Count != 0}, {"source", event.Source != corev1.EventSource{}}} {
		if old.set {
			errs = append(errs, field.Invalid(field.NewPath(old.name), "", "needs to be unset"))
		}
	}
	return errs
}

// ValidateNewEventUpdate lets nothing of an Event but its series change.
func ValidateNewEventUpdate(event, old *corev1.Event) field.ErrorList {
	errs := validateEvent(event, "reportingController")
	errs = append(errs, validateSeries(event)...)
	for _, part := range []struct {
		name     string
		now, was any
	}{
		{"involvedObject", event.InvolvedObject, old.InvolvedObject}, {"reason", event.Reason, old.Reason}, {"message", event.Message, old.Message},
		{"source", event.Source, old.Source}, {"firstTimestamp", event.FirstTimestamp, old.FirstTimestamp}, {"lastTimestamp", event.LastTimestamp, old.LastTimestamp},
		{"count", event.Count, old.Count}, {"type", event.Type, old.Type}, {"eventTime", event.EventTime, old.EventTime}, {"action", event.Action, old.Action},
		{"related", event.Related, old.Related}, {"reportingController", event.ReportingController, old.ReportingController},
		{"reportingInstance", event.ReportingInstance, old.ReportingInstance},
	} {
		errs = append(errs, apivalidation.ValidateImmutableField(part.now, part.was, field.NewPath(part.name))...)
	}
	return errs
}

func validateSeries(event *corev1.Event) field.ErrorList {
	if event.Series == nil {
		return nil
	}
	var errs field.ErrorList
	if event.Series.Count < 2 {
		errs = append(errs, field.Invalid(field.NewPath("series.count"), "", "should be at least 2"))
	}
	if event.Series.LastObservedTime.IsZero() {
		errs = append(errs, field.Required(field.NewPath("series.lastObservedTime"), ""))
	}
	return errs
}

// validateEvent checks what both versions ask for; reporter is what the
// version calls the reporting controller. An Event with an eventTime
// was made by a new recorder, and must tell more.
func validateEvent(event *corev1.Event, reporter string) field.ErrorList {
	about := field.NewPath("involvedObject", "namespace")
	object := event.InvolvedObject.Namespace
	var errs field.ErrorList
	if event.EventTime.IsZero() {
		if object == "" && event.Namespace != "" && event.Namespace != metav1.NamespaceDefault || object != "" && object != event.Namespace {
			errs = append(errs, field.Invalid(about, object, "does not match event.namespace"))
		}
		return errs
	}
	if object == "" && event.Namespace != metav1.NamespaceDefault && event.Namespace != metav1.NamespaceSystem {
		errs = append(errs, field.Invalid(about, object, "does not match event.namespace"))
	}
	if event.ReportingController == "" {
		errs = append(errs, field.Required(field.NewPath(reporter), ""))
	}
	errs = append(errs, validateQualified(event.ReportingController, field.NewPath(reporter))...)
	for _, part := range []struct{ name, value string }{
		{"reportingInstance", event.ReportingInstance}, {"action", event.Action}, {"reason", event.Reason},
	} {
		switch {
		case part.value == "":
			errs = append(errs, field.Required(field.NewPath(part.name), ""))
		case len(part.value) > maxEventName:
			errs = append(errs, field.Invalid(field.NewPath(part.name), "", fmt.Sprintf("can have at most %v characters", maxEventName)))
		}
	}
	if len(event.Message) > maxEventMessage {
		errs = append(errs, field.Invalid(field.NewPath("message"), "", fmt.Sprintf("can have at most %v characters", maxEventMessage)))
	}
	return errs
}
