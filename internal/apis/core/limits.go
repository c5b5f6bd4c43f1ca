package core

import (
	"fmt"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	resourcehelper "k8s.io/component-helpers/resource"
)

// limitRangerAnnotation tells which requests and limits a Pod was given.
const limitRangerAnnotation = "kubernetes.io/limit-ranger"

// ApplyLimitDefaults gives the containers of pod the requests and limits that
// they leave out and the LimitRange has a default for.
func ApplyLimitDefaults(limits *corev1.LimitRange, pod *corev1.Pod) {
	defaults := corev1.ResourceRequirements{Limits: corev1.ResourceList{}, Requests: corev1.ResourceList{}}
	for _, item := range limits.Spec.Limits {
		if item.Type == corev1.LimitTypeContainer {
			maps.Copy(defaults.Requests, item.DefaultRequest)
			maps.Copy(defaults.Limits, item.Default)
		}
	}
	var given []string
	for i := range pod.Spec.Containers {
		given = append(given, mergeDefaults(&pod.Spec.Containers[i], defaults, "container")...)
	}
	for i := range pod.Spec.InitContainers {
		given = append(given, mergeDefaults(&pod.Spec.InitContainers[i], defaults, "init container")...)
	}
	if len(given) > 0 {
		if pod.Annotations == nil {
			pod.Annotations = map[string]string{}
		}
		pod.Annotations[limitRangerAnnotation] = "LimitRanger plugin set: " + strings.Join(given, "; ")
	}
}

// mergeDefaults returns what the container was given, in words.
func mergeDefaults(container *corev1.Container, defaults corev1.ResourceRequirements, kind string) []string {
	var given []string
	merge := func(into *corev1.ResourceList, from corev1.ResourceList, what string) {
		var names []string
		for _, name := range byName(from) {
			if _, set := (*into)[name]; set {
				continue
			}
			if *into == nil {
				*into = corev1.ResourceList{}
			}
			(*into)[name] = from[name].DeepCopy()
			names = append(names, string(name))
		}
		if len(names) > 0 {
			given = append(given, fmt.Sprintf("%s %s for %s %s", strings.Join(names, ", "), what, kind, container.Name))
		}
	}
	merge(&container.Resources.Requests, defaults.Requests, "request")
	merge(&container.Resources.Limits, defaults.Limits, "limit")
	return given
}

// CheckLimits returns every bound of the LimitRange that pod breaks.
func CheckLimits(limits *corev1.LimitRange, pod *corev1.Pod) error {
	var errs []error
	for _, item := range limits.Spec.Limits {
		switch item.Type {
		case corev1.LimitTypeContainer:
			for _, containers := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
				for _, container := range containers {
					errs = append(errs, checkBounds(item, container.Resources.Requests, container.Resources.Limits)...)
				}
			}
		case corev1.LimitTypePod:
			options := resourcehelper.PodResourcesOptions{}
			errs = append(errs, checkBounds(item, resourcehelper.PodRequests(pod, options), resourcehelper.PodLimits(pod, options))...)
		}
	}
	return utilerrors.NewAggregate(errs)
}

func checkBounds(item corev1.LimitRangeItem, requests, limits corev1.ResourceList) []error {
	var errs []error
	check := func(bounds corev1.ResourceList, broken func(corev1.LimitType, corev1.ResourceName, resource.Quantity, corev1.ResourceList, corev1.ResourceList) error) {
		for _, name := range byName(bounds) {
			if err := broken(item.Type, name, bounds[name], requests, limits); err != nil {
				errs = append(errs, err)
			}
		}
	}
	check(item.Min, belowMin)
	check(item.Max, aboveMax)
	check(item.MaxLimitRequestRatio, aboveRatio)
	return errs
}

func belowMin(kind corev1.LimitType, name corev1.ResourceName, bound resource.Quantity, requests, limits corev1.ResourceList) error {
	request, requested := requests[name]
	limit, limited := limits[name]
	switch {
	case !requested:
		return fmt.Errorf("minimum %s usage per %s is %s.  No request is specified", name, kind, bound.String())
	case request.Cmp(bound) < 0:
		return fmt.Errorf("minimum %s usage per %s is %s, but request is %s", name, kind, bound.String(), request.String())
	case limited && limit.Cmp(bound) < 0:
		return fmt.Errorf("minimum %s usage per %s is %s, but limit is %s", name, kind, bound.String(), limit.String())
	}
	return nil
}

func aboveMax(kind corev1.LimitType, name corev1.ResourceName, bound resource.Quantity, requests, limits corev1.ResourceList) error {
	request, requested := requests[name]
	limit, limited := limits[name]
	switch {
	case !limited:
		return fmt.Errorf("maximum %s usage per %s is %s.  No limit is specified", name, kind, bound.String())
	case limit.Cmp(bound) > 0:
		return fmt.Errorf("maximum %s usage per %s is %s, but limit is %s", name, kind, bound.String(), limit.String())
	case requested && request.Cmp(bound) > 0:
		return fmt.Errorf("maximum %s usage per %s is %s, but request is %s", name, kind, bound.String(), request.String())
	}
	return nil
}

func aboveRatio(kind corev1.LimitType, name corev1.ResourceName, bound resource.Quantity, requests, limits corev1.ResourceList) error {
	request, requested := requests[name]
	limit, limited := limits[name]
	if !requested || request.IsZero() {
		return fmt.Errorf("%s max limit to request ratio per %s is %s, but no request is specified or request is 0", name, kind, bound.String())
	}
	if !limited || limit.IsZero() {
		return fmt.Errorf("%s max limit to request ratio per %s is %s, but no limit is specified or limit is 0", name, kind, bound.String())
	}
	if ratio := limit.AsApproximateFloat64() / request.AsApproximateFloat64(); ratio > bound.AsApproximateFloat64() {
		return fmt.Errorf("%s max limit to request ratio per %s is %s, but provided ratio is %f", name, kind, bound.String(), ratio)
	}
	return nil
}
