package apps

import (
	"fmt"
	"maps"
	"reflect"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	appsv1beta1 "k8s.io/api/apps/v1beta1"
	appsv1beta2 "k8s.io/api/apps/v1beta2"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	extensionsv1beta1 "k8s.io/api/extensions/v1beta1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// olderKinds are the older forms of what is an apps/v1 object now, or a Scale
// of autoscaling/v1.
var olderKinds = []struct {
	version  schema.GroupVersion
	old, now runtime.Object
}{
	{extensionsv1beta1.SchemeGroupVersion, &extensionsv1beta1.Deployment{}, &appsv1.Deployment{}},
	{extensionsv1beta1.SchemeGroupVersion, &extensionsv1beta1.DeploymentList{}, &appsv1.DeploymentList{}},
	{extensionsv1beta1.SchemeGroupVersion, &extensionsv1beta1.ReplicaSet{}, &appsv1.ReplicaSet{}},
	{extensionsv1beta1.SchemeGroupVersion, &extensionsv1beta1.ReplicaSetList{}, &appsv1.ReplicaSetList{}},
	{extensionsv1beta1.SchemeGroupVersion, &extensionsv1beta1.Scale{}, &autoscalingv1.Scale{}},
	{appsv1beta1.SchemeGroupVersion, &appsv1beta1.Deployment{}, &appsv1.Deployment{}},
	{appsv1beta1.SchemeGroupVersion, &appsv1beta1.DeploymentList{}, &appsv1.DeploymentList{}},
	{appsv1beta1.SchemeGroupVersion, &appsv1beta1.Scale{}, &autoscalingv1.Scale{}},
	{appsv1beta2.SchemeGroupVersion, &appsv1beta2.Deployment{}, &appsv1.Deployment{}},
	{appsv1beta2.SchemeGroupVersion, &appsv1beta2.DeploymentList{}, &appsv1.DeploymentList{}},
	{appsv1beta2.SchemeGroupVersion, &appsv1beta2.ReplicaSet{}, &appsv1.ReplicaSet{}},
	{appsv1beta2.SchemeGroupVersion, &appsv1beta2.ReplicaSetList{}, &appsv1.ReplicaSetList{}},
	{appsv1beta2.SchemeGroupVersion, &appsv1beta2.Scale{}, &autoscalingv1.Scale{}},
}

// AddOlderVersions registers the versions that apps/v1 has replaced, with
// their defaults and their conversions. The types of now stand for them inside
// of the server, so that both are the same objects. It wants apps/v1 and
// autoscaling/v1 to be registered already.
func AddOlderVersions(scheme *runtime.Scheme) error {
	for _, kind := range olderKinds {
		scheme.AddKnownTypes(kind.version, kind.old)
		scheme.AddKnownTypes(schema.GroupVersion{Group: kind.version.Group, Version: runtime.APIVersionInternal}, kind.now)
		metav1.AddToGroupVersion(scheme, kind.version)
		if err := scheme.AddConversionFunc(kind.old, kind.now, convert); err != nil {
			return err
		}
		if err := scheme.AddConversionFunc(kind.now, kind.old, convert); err != nil {
			return err
		}
	}
	addOlderDefaults(scheme)
	return nil
}

// Moved is the resource under which the objects of another are kept: those of
// extensions are the same as in apps. Nothing may count or delete them twice.
func Moved(resource schema.GroupResource) schema.GroupResource {
	if resource.Group == extensionsv1beta1.GroupName && (resource.Resource == "deployments" || resource.Resource == "replicasets") {
		resource.Group = appsv1.GroupName
	}
	return resource
}

// convert fills to, which is from in another version.
func convert(from, to any, _ conversion.Scope) error {
	return convertValue(reflect.ValueOf(from).Elem(), reflect.ValueOf(to).Elem())
}

func convertValue(from, to reflect.Value) error {
	copyFields(from, to)
	items := to.FieldByName("Items")
	if !items.IsValid() {
		return convertSpecials(from.Addr().Interface(), to.Addr().Interface())
	}
	for i := range items.Len() {
		if err := convertSpecials(from.FieldByName("Items").Index(i).Addr().Interface(), items.Index(i).Addr().Interface()); err != nil {
			return err
		}
	}
	return nil
}

// copyFields copies what has the same name in both versions. What is of one
// type in both is shared, as upstream's conversions do.
func copyFields(from, to reflect.Value) {
	if from.Type() == to.Type() {
		to.Set(from)
		return
	}
	switch to.Kind() {
	case reflect.Struct:
		for i := range to.NumField() {
			field := to.Type().Field(i)
			if field.Name == "TypeMeta" {
				continue // the scheme says which kind it is
			}
			if same := from.FieldByName(field.Name); same.IsValid() {
				copyFields(same, to.Field(i))
			}
		}
	case reflect.Pointer:
		if !from.IsNil() {
			to.Set(reflect.New(to.Type().Elem()))
			copyFields(from.Elem(), to.Elem())
		}
	case reflect.Slice:
		if !from.IsNil() {
			to.Set(reflect.MakeSlice(to.Type(), from.Len(), from.Len()))
			for i := range from.Len() {
				copyFields(from.Index(i), to.Index(i))
			}
		}
	default:
		if from.CanConvert(to.Type()) {
			to.Set(from.Convert(to.Type()))
		}
	}
}

// convertSpecials converts what has no counterpart of its name.
func convertSpecials(from, to any) error {
	switch to := to.(type) {
	case *appsv1.Deployment:
		askForRollback(from, to)
	case *extensionsv1beta1.Deployment:
		if revision, asked := takeRollback(&to.ObjectMeta); asked {
			to.Spec.RollbackTo = &extensionsv1beta1.RollbackConfig{Revision: revision}
		}
	case *appsv1beta1.Deployment:
		if revision, asked := takeRollback(&to.ObjectMeta); asked {
			to.Spec.RollbackTo = &appsv1beta1.RollbackConfig{Revision: revision}
		}
	case *autoscalingv1.Scale:
		selector, targets := olderSelector(from)
		to.Status.Selector = targets
		if targets == "" && selector != nil {
			to.Status.Selector = labels.SelectorFromSet(selector).String()
		}
	case *extensionsv1beta1.Scale:
		return showSelector(from, &to.Status.Selector, &to.Status.TargetSelector)
	case *appsv1beta1.Scale:
		return showSelector(from, &to.Status.Selector, &to.Status.TargetSelector)
	case *appsv1beta2.Scale:
		return showSelector(from, &to.Status.Selector, &to.Status.TargetSelector)
	}
	return nil
}

// askForRollback moves spec.rollbackTo into the annotation that has taken its
// place.
func askForRollback(from any, to *appsv1.Deployment) {
	var revision int64
	switch old := from.(type) {
	case *extensionsv1beta1.Deployment:
		if old.Spec.RollbackTo == nil {
			return
		}
		revision = old.Spec.RollbackTo.Revision
	case *appsv1beta1.Deployment:
		if old.Spec.RollbackTo == nil {
			return
		}
		revision = old.Spec.RollbackTo.Revision
	default:
		return
	}
	to.Annotations = maps.Clone(to.Annotations)
	if to.Annotations == nil {
		to.Annotations = map[string]string{}
	}
	to.Annotations[appsv1.DeprecatedRollbackTo] = strconv.FormatInt(revision, 10)
}

// takeRollback takes the annotation out, if it asks for anything.
func takeRollback(meta *metav1.ObjectMeta) (revision int64, asked bool) {
	revision, err := strconv.ParseInt(meta.Annotations[appsv1.DeprecatedRollbackTo], 10, 64)
	if err != nil {
		return 0, false
	}
	meta.Annotations = maps.Clone(meta.Annotations) // it is the other version's too
	delete(meta.Annotations, appsv1.DeprecatedRollbackTo)
	return revision, true
}

// olderSelector is the selector of an older Scale, in the two forms it has.
func olderSelector(from any) (selector map[string]string, targets string) {
	switch old := from.(type) {
	case *extensionsv1beta1.Scale:
		return old.Status.Selector, old.Status.TargetSelector
	case *appsv1beta1.Scale:
		return old.Status.Selector, old.Status.TargetSelector
	case *appsv1beta2.Scale:
		return old.Status.Selector, old.Status.TargetSelector
	default:
		return nil, ""
	}
}

// showSelector fills in both forms; labels alone can only say what must be
// equal.
func showSelector(from any, equal *map[string]string, targets *string) error {
	scale, ok := from.(*autoscalingv1.Scale)
	if !ok {
		return fmt.Errorf("a %T is no Scale of autoscaling/v1", from)
	}
	selector, err := metav1.ParseToLabelSelector(scale.Status.Selector)
	if err != nil {
		return fmt.Errorf("the selector of Scale %q: %w", scale.Name, err)
	}
	*equal, *targets = nil, scale.Status.Selector
	if len(selector.MatchExpressions) == 0 {
		*equal = selector.MatchLabels
	}
	return nil
}
