package ingress

import (
	"context"
	"fmt"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	api "coxswain.dev/cox/internal/apis/networking"
)

const (
	// ClassName is the IngressClass that the front makes.
	ClassName = "coxswain"
	// Controller is what an IngressClass names to be served by the front.
	Controller = "coxswain.dev/ingress"
)

// EnsureClass makes the front's IngressClass where it is missing: the default,
// unless another is that already.
func EnsureClass(ctx context.Context, client kubernetes.Interface) error {
	classes, err := client.NetworkingV1().IngressClasses().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("reading the IngressClasses: %w", err)
	}
	ours := &networkingv1.IngressClass{
		ObjectMeta: metav1.ObjectMeta{Name: ClassName, Annotations: map[string]string{networkingv1.AnnotationIsDefaultIngressClass: "true"}},
		Spec:       networkingv1.IngressClassSpec{Controller: Controller},
	}
	for _, class := range classes.Items {
		if class.Name == ClassName {
			return nil // what somebody changed about it stays
		}
		if class.Annotations[networkingv1.AnnotationIsDefaultIngressClass] == "true" {
			ours.Annotations = nil
		}
	}
	if _, err := client.NetworkingV1().IngressClasses().Create(ctx, ours, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating the IngressClass %q: %w", ClassName, err)
	}
	return nil
}

// RemoveClass removes the front's IngressClass, so that no Ingress is given to
// a front that is switched off.
func RemoveClass(ctx context.Context, client kubernetes.Interface) error {
	class, err := client.NetworkingV1().IngressClasses().Get(ctx, ClassName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && class.Spec.Controller != Controller {
		return nil
	}
	if err == nil {
		err = client.NetworkingV1().IngressClasses().Delete(ctx, ClassName, metav1.DeleteOptions{})
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("removing the IngressClass %q: %w", ClassName, err)
	}
	return nil
}

// isOurs tells whether an Ingress is the front's: its class names our
// controller, or it has none, made before there was a default.
func isOurs(ingress *networkingv1.Ingress, controllerOf func(class string) string) bool {
	name, named := ingress.Annotations[api.ClassAnnotation]
	if ingress.Spec.IngressClassName != nil {
		name, named = *ingress.Spec.IngressClassName, true
	}
	return !named || controllerOf(name) == Controller
}
