package registry

import (
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// AddVersion registers the published types of one group version with scheme,
// both under the version they are served as and under the group's internal
// version. The generic API server decodes into internal types; with both
// names on one Go type that conversion costs nothing, and no second set of
// types is needed.
//
// addTypes is the AddToScheme of the k8s.io/api package.
func AddVersion(scheme *runtime.Scheme, version schema.GroupVersion, addTypes func(*runtime.Scheme) error) error {
	if err := addTypes(scheme); err != nil {
		return err
	}
	internal := schema.GroupVersion{Group: version.Group, Version: runtime.APIVersionInternal}
	for name, goType := range scheme.KnownTypes(version) {
		if goType.PkgPath() == metaPackage {
			continue
		}
		object, ok := newObject(goType)
		if !ok {
			continue
		}
		scheme.AddKnownTypeWithName(internal.WithKind(name), object)
	}
	metav1.AddToGroupVersion(scheme, version)
	return nil
}

const metaPackage = "k8s.io/apimachinery/pkg/apis/meta/v1"

func newObject(goType reflect.Type) (runtime.Object, bool) {
	object, ok := reflect.New(goType).Interface().(runtime.Object)
	return object, ok
}
