package apiserver

import (
	appsv1 "k8s.io/api/apps/v1"
	appsv1beta1 "k8s.io/api/apps/v1beta1"
	appsv1beta2 "k8s.io/api/apps/v1beta2"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	extensionsv1beta1 "k8s.io/api/extensions/v1beta1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"

	appsapi "coxswain.dev/cox/internal/apis/apps"
	"coxswain.dev/cox/internal/registry"
	"coxswain.dev/cox/internal/registry/autoscaling"
	"coxswain.dev/cox/internal/registry/core"
	"coxswain.dev/cox/internal/registry/events"
)

// versions are the group versions whose types are also the form that objects
// have inside of the server.
var versions = []struct {
	version  schema.GroupVersion
	addTypes func(*runtime.Scheme) error
}{
	{corev1.SchemeGroupVersion, corev1.AddToScheme},
	{appsv1.SchemeGroupVersion, appsv1.AddToScheme},
	{authenticationv1.SchemeGroupVersion, authenticationv1.AddToScheme},
	{authorizationv1.SchemeGroupVersion, authorizationv1.AddToScheme},
	{coordinationv1.SchemeGroupVersion, coordinationv1.AddToScheme},
	{discoveryv1.SchemeGroupVersion, discoveryv1.AddToScheme},
	{metricsv1beta1.SchemeGroupVersion, metricsv1beta1.AddToScheme},
	{networkingv1.SchemeGroupVersion, networkingv1.AddToScheme},
	{policyv1.SchemeGroupVersion, policyv1.AddToScheme},
	{rbacv1.SchemeGroupVersion, rbacv1.AddToScheme},
}

// newScheme returns a scheme with every type of the API, its defaults and its
// field selectors.
func newScheme(kinds []registry.Builder) (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, v := range versions {
		if err := registry.AddVersion(scheme, v.version, v.addTypes); err != nil {
			return nil, err
		}
		if err := scheme.SetVersionPriority(v.version); err != nil {
			return nil, err
		}
	}
	if err := addOlderVersions(scheme); err != nil {
		return nil, err
	}
	if err := events.AddToScheme(scheme); err != nil {
		return nil, err
	}
	if err := autoscaling.AddToScheme(scheme); err != nil {
		return nil, err
	}
	if err := scheme.SetVersionPriority(eventsv1.SchemeGroupVersion); err != nil {
		return nil, err
	}
	// What the endpoints themselves speak, in no group.
	unversioned := schema.GroupVersion{Version: "v1"}
	scheme.AddUnversionedTypes(unversioned, &metav1.Status{}, &metav1.APIVersions{}, &metav1.APIGroupList{}, &metav1.APIGroup{}, &metav1.APIResourceList{})
	addDefaults(scheme)
	if err := core.AddConversions(scheme); err != nil {
		return nil, err
	}
	for _, kind := range kinds {
		if err := kind.AddFieldLabels(scheme); err != nil {
			return nil, err
		}
	}
	return scheme, nil
}

// addOlderVersions registers the versions before apps/v1, which clients are
// to prefer.
func addOlderVersions(scheme *runtime.Scheme) error {
	if err := appsapi.AddOlderVersions(scheme); err != nil {
		return err
	}
	if err := scheme.SetVersionPriority(appsv1.SchemeGroupVersion, appsv1beta2.SchemeGroupVersion, appsv1beta1.SchemeGroupVersion); err != nil {
		return err
	}
	return scheme.SetVersionPriority(extensionsv1beta1.SchemeGroupVersion)
}
