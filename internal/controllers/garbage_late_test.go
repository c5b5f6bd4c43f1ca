package controllers_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What was orphaned stays, although the collector's cache still says whose it
// was, and that is gone: it once was deleted with all that it had.
func TestAnOrphanStaysWhileTheCacheIsLate(t *testing.T) {
	var silent atomic.Bool
	opened := make(chan struct{})
	client := withControllers(t, func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			response, err := next.RoundTrip(r)
			if err == nil && r.Method == http.MethodGet && r.URL.Path == "/api/v1/configmaps" {
				response.Body = gate{response.Body, &silent, opened}
			}
			return response, err
		})
	})
	secrets := client.CoreV1().Secrets("default")
	secret := func(name string, owners ...metav1.OwnerReference) metav1.OwnerReference {
		made, err := secrets.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, OwnerReferences: owners}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return metav1.OwnerReference{APIVersion: "v1", Kind: "Secret", Name: name, UID: made.UID}
	}
	remove := func(name, gone string, how metav1.DeletionPropagation) {
		if err := secrets.Delete(t.Context(), name, metav1.DeleteOptions{PropagationPolicy: &how}); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() error {
			if _, err := secrets.Get(t.Context(), gone, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				return fmt.Errorf("%s is still there (%v)", gone, err)
			}
			return nil
		})
	}
	makeMap(t, client, "below", secret("top"))
	fence(t, client, "seen")
	silent.Store(true)
	remove("top", "top", metav1.DeletePropagationOrphan)
	secret("later-below", secret("later"))
	remove("later", "later-below", metav1.DeletePropagationBackground) // the collector has come this far
	if found := stays(t, client, "below"); len(found.OwnerReferences) > 0 || found.DeletionTimestamp != nil {
		t.Errorf("the orphan has the owners %v", found.OwnerReferences)
	}
	close(opened)
}
