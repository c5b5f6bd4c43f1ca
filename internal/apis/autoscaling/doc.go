// Package autoscaling holds the defaults and the validation of
// HorizontalPodAutoscalers, and how autoscaling/v1 shows those of
// autoscaling/v2, which is the form that is stored.
//
// Everything in it is a pure function of the published types. Field errors and
// their words are the API's interface and match upstream's.
package autoscaling
