package autoscaling

import (
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	api "coxswain.dev/cox/internal/apis/autoscaling"
	"coxswain.dev/cox/internal/registry"
)

// Kinds returns every resource of the group.
func Kinds() []registry.Builder { return []registry.Builder{autoscaler()} }

// AddToScheme registers the group with scheme: a Scale has one form, in v1, and
// an autoscaler inside of the server that of v2.
func AddToScheme(scheme *runtime.Scheme) error {
	if err := registry.AddVersion(scheme, autoscalingv2.SchemeGroupVersion, autoscalingv2.AddToScheme); err != nil {
		return err
	}
	if err := autoscalingv1.AddToScheme(scheme); err != nil {
		return err
	}
	internal := schema.GroupVersion{Group: autoscalingv1.GroupName, Version: runtime.APIVersionInternal}
	scheme.AddKnownTypes(internal, &autoscalingv1.Scale{})
	metav1.AddToGroupVersion(scheme, autoscalingv1.SchemeGroupVersion)
	if err := addConversions(scheme); err != nil {
		return err
	}
	return scheme.SetVersionPriority(autoscalingv2.SchemeGroupVersion, autoscalingv1.SchemeGroupVersion)
}

func addConversions(scheme *runtime.Scheme) error {
	for _, pair := range []struct {
		from, to any
		convert  func(from, to any)
	}{
		{(*autoscalingv1.HorizontalPodAutoscaler)(nil), (*autoscalingv2.HorizontalPodAutoscaler)(nil), func(from, to any) {
			api.FromV1(from.(*autoscalingv1.HorizontalPodAutoscaler), to.(*autoscalingv2.HorizontalPodAutoscaler))
		}},
		{(*autoscalingv2.HorizontalPodAutoscaler)(nil), (*autoscalingv1.HorizontalPodAutoscaler)(nil), func(from, to any) {
			api.ToV1(from.(*autoscalingv2.HorizontalPodAutoscaler), to.(*autoscalingv1.HorizontalPodAutoscaler))
		}},
		{(*autoscalingv1.HorizontalPodAutoscalerList)(nil), (*autoscalingv2.HorizontalPodAutoscalerList)(nil), func(from, to any) {
			in, out := from.(*autoscalingv1.HorizontalPodAutoscalerList), to.(*autoscalingv2.HorizontalPodAutoscalerList)
			out.ListMeta, out.Items = in.ListMeta, make([]autoscalingv2.HorizontalPodAutoscaler, len(in.Items))
			for i := range in.Items {
				api.FromV1(&in.Items[i], &out.Items[i])
			}
		}},
		{(*autoscalingv2.HorizontalPodAutoscalerList)(nil), (*autoscalingv1.HorizontalPodAutoscalerList)(nil), func(from, to any) {
			in, out := from.(*autoscalingv2.HorizontalPodAutoscalerList), to.(*autoscalingv1.HorizontalPodAutoscalerList)
			out.ListMeta, out.Items = in.ListMeta, make([]autoscalingv1.HorizontalPodAutoscaler, len(in.Items))
			for i := range in.Items {
				api.ToV1(&in.Items[i], &out.Items[i])
			}
		}},
	} {
		err := scheme.AddConversionFunc(pair.from, pair.to, func(from, to any, _ conversion.Scope) error {
			pair.convert(from, to)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
