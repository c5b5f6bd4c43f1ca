package apps

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	appsv1beta1 "k8s.io/api/apps/v1beta1"
	appsv1beta2 "k8s.io/api/apps/v1beta2"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	extensionsv1beta1 "k8s.io/api/extensions/v1beta1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	"pgregory.net/rapid"
)

func olderScheme(t testing.TB) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{appsv1.AddToScheme, autoscalingv1.AddToScheme, AddOlderVersions} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return scheme
}

// fill sets every field, to something or, where some is given, to what it
// draws. A field that one version has and another has not is found by it.
func fill(v reflect.Value, some func() int) {
	switch v.Interface().(type) {
	case metav1.TypeMeta:
		return
	case metav1.ObjectMeta:
		v.Set(reflect.ValueOf(metav1.ObjectMeta{Name: "name", Labels: map[string]string{"a": fmt.Sprint(some())}, Annotations: map[string]string{"b": "c"}}))
		return
	case metav1.Time:
		v.Set(reflect.ValueOf(metav1.NewTime(time.Unix(int64(some()), 0))))
		return
	case intstr.IntOrString:
		v.Set(reflect.ValueOf(intstr.FromInt(some())))
		return
	case corev1.PodTemplateSpec:
		v.Set(reflect.ValueOf(corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: fmt.Sprint(some())}}}}))
		return
	case metav1.LabelSelector:
		v.Set(reflect.ValueOf(metav1.LabelSelector{MatchLabels: map[string]string{"a": fmt.Sprint(some())}}))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), some)
		}
	case reflect.Pointer:
		if some() == 0 {
			return
		}
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), some)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), some(), 3))
		for i := range v.Len() {
			fill(v.Index(i), some)
		}
	case reflect.String:
		v.SetString(fmt.Sprint(some()))
	case reflect.Bool:
		v.SetBool(some() > 0)
	case reflect.Int32, reflect.Int64:
		v.SetInt(int64(some()))
	default:
		panic(v.Type().String())
	}
}

// thereAndBack converts an object into an older version and back.
func thereAndBack(scheme *runtime.Scheme, object runtime.Object, version schema.GroupVersion) (older, again runtime.Object, err error) {
	if older, err = scheme.ConvertToVersion(object, version); err != nil {
		return nil, nil, err
	}
	again, err = scheme.ConvertToVersion(older, schema.GroupVersion{Group: version.Group, Version: runtime.APIVersionInternal})
	return older, again, err
}

// Nothing that is kept is lost by a look, or a patch, through an older version.
func TestEveryFieldIsKeptThroughEveryOlderVersion(t *testing.T) {
	scheme := olderScheme(t)
	check := func(t interface{ Fatalf(string, ...any) }, some func() int) {
		for _, kind := range olderKinds {
			now := reflect.New(reflect.TypeOf(kind.now).Elem())
			fill(now.Elem(), some)
			object := now.Interface().(runtime.Object)
			if scale, ok := object.(*autoscalingv1.Scale); ok {
				scale.Status.Selector = fmt.Sprintf("a=%d,b in (c,d)", some())
			}
			before := object.DeepCopyObject()
			older, again, err := thereAndBack(scheme, object, kind.version)
			if err != nil {
				t.Fatalf("%T by way of %T: %v", object, kind.old, err)
			}
			if reflect.TypeOf(older) != reflect.TypeOf(kind.old) {
				t.Fatalf("%s has a %T, want a %T", kind.version, older, kind.old)
			}
			if !equality.Semantic.DeepEqual(again, before) || !equality.Semantic.DeepEqual(object, before) {
				t.Fatalf("by way of %T %+v\nbecame %+v", kind.old, before, again)
			}
		}
	}
	t.Run("all set", func(t *testing.T) { check(t, func() int { return 1 }) })
	t.Run("some set", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) { check(t, func() int { return rapid.IntRange(0, 3).Draw(t, "some") }) })
	})
}

func TestARollbackIsAskedForByAnAnnotation(t *testing.T) {
	scheme := olderScheme(t)
	for _, test := range []struct{ annotation, want string }{{"3", "3"}, {"0", "0"}, {"", "none"}, {"the last", "none"}} {
		d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{appsv1.DeprecatedRollbackTo: test.annotation, "other": "x"}}}
		for _, version := range []schema.GroupVersion{extensionsv1beta1.SchemeGroupVersion, appsv1beta1.SchemeGroupVersion} {
			older, again, err := thereAndBack(scheme, d, version)
			if err != nil {
				t.Fatal(err)
			}
			if !equality.Semantic.DeepEqual(again.(*appsv1.Deployment).Annotations, d.Annotations) {
				t.Errorf("%s: %v came back as %v", version, d.Annotations, again.(*appsv1.Deployment).Annotations)
			}
			got, left := "none", older.(metav1.Object).GetAnnotations()
			switch older := older.(type) {
			case *extensionsv1beta1.Deployment:
				if older.Spec.RollbackTo != nil {
					got = fmt.Sprint(older.Spec.RollbackTo.Revision)
				}
			case *appsv1beta1.Deployment:
				if older.Spec.RollbackTo != nil {
					got = fmt.Sprint(older.Spec.RollbackTo.Revision)
				}
			}
			if _, stays := left[appsv1.DeprecatedRollbackTo]; got != test.want || stays != (got == "none") || left["other"] != "x" {
				t.Errorf("%s: %q asks for %s, want %s; annotations %v", version, test.annotation, got, test.want, left)
			}
		}
	}
}

func TestAScaleOfOldSaysWhatItSelects(t *testing.T) {
	scheme := olderScheme(t)
	for _, test := range []struct {
		labels  map[string]string
		targets string
		want    string
	}{
		{map[string]string{"b": "2", "a": "1"}, "", "a=1,b=2"},
		{map[string]string{"a": "1"}, "a in (1,2)", "a in (1,2)"},
		{nil, "", ""},
	} {
		for _, old := range []runtime.Object{
			&extensionsv1beta1.Scale{Status: extensionsv1beta1.ScaleStatus{Selector: test.labels, TargetSelector: test.targets}},
			&appsv1beta1.Scale{Status: appsv1beta1.ScaleStatus{Selector: test.labels, TargetSelector: test.targets}},
			&appsv1beta2.Scale{Status: appsv1beta2.ScaleStatus{Selector: test.labels, TargetSelector: test.targets}},
		} {
			now := &autoscalingv1.Scale{}
			if err := scheme.Convert(old, now, nil); err != nil || now.Status.Selector != test.want {
				t.Errorf("%T of %v, %q selects %q (%v), want %q", old, test.labels, test.targets, now.Status.Selector, err, test.want)
			}
		}
	}
	bad := &autoscalingv1.Scale{Status: autoscalingv1.ScaleStatus{Selector: "a in"}}
	if err := scheme.Convert(bad, &extensionsv1beta1.Scale{}, nil); err == nil {
		t.Error("a selector that is none was shown")
	}
}
