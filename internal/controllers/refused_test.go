package controllers_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// refusedSet is a ReplicaSet of two Pods of which a quota lets one in, because
// the Pod called other has the second place. It returns when the set waits for
// the quota: tries tells how many creations there were.
func refusedSet(t *testing.T) (client kubernetes.Interface, tries *atomic.Int32) {
	t.Helper()
	tries = new(atomic.Int32)
	client = withQuotaThrough(t, func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/namespaces/q/pods") {
				tries.Add(1)
			}
			return next.RoundTrip(r)
		})
	}, map[corev1.ResourceName]string{corev1.ResourcePods: "2"})
	if _, err := client.CoreV1().Pods("q").Create(t.Context(), smallPod("other"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	set := replicaSet(2)
	set.Namespace = "q"
	if _, err := client.AppsV1().ReplicaSets("q").Create(t.Context(), set, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	// One that went well, one that was refused, and the look after it: from
	// then on only the quota wakes it.
	eventually(t, func() error {
		if got := tries.Load(); got < 3 {
			return fmt.Errorf("%d creations were tried", got)
		}
		return nil
	})
	return client, tries
}

func hasPods(t *testing.T, client kubernetes.Interface, want int32) *appsv1.ReplicaSet {
	t.Helper()
	var set *appsv1.ReplicaSet
	eventually(t, func() (err error) {
		set, err = client.AppsV1().ReplicaSets("q").Get(t.Context(), "web", metav1.GetOptions{})
		if err == nil && set.Status.Replicas != want {
			err = fmt.Errorf("the status is %+v", set.Status)
		}
		return err
	})
	return set
}

// The deadline of eventually is far shorter than any timer that a refused set
// has: what wakes it is the quota.
func TestARefusedSetIsWokenByItsQuota(t *testing.T) {
	for name, free := range map[string]func(kubernetes.Interface) error{
		"a Pod goes": func(client kubernetes.Interface) error {
			return client.CoreV1().Pods("q").Delete(t.Context(), "other", metav1.DeleteOptions{GracePeriodSeconds: new(int64)})
		},
		"the quota grows": func(client kubernetes.Interface) error {
			_, err := client.CoreV1().ResourceQuotas("q").Patch(t.Context(), "q", types.MergePatchType, []byte(`{"spec":{"hard":{"pods":"3"}}}`), metav1.PatchOptions{})
			return err
		},
		"the quota limits Pods no more": func(client kubernetes.Interface) error {
			_, err := client.CoreV1().ResourceQuotas("q").Patch(t.Context(), "q", types.MergePatchType, []byte(`{"spec":{"hard":{"pods":null,"secrets":"1"}}}`), metav1.PatchOptions{})
			return err
		},
		"the quota goes": func(client kubernetes.Interface) error {
			return client.CoreV1().ResourceQuotas("q").Delete(t.Context(), "q", metav1.DeleteOptions{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			client, tries := refusedSet(t)
			set := hasPods(t, client, 1)
			if len(set.Status.Conditions) != 1 || set.Status.Conditions[0].Reason != "FailedCreate" {
				t.Fatalf("the conditions are %+v", set.Status.Conditions)
			}
			if err := free(client); err != nil {
				t.Fatal(err)
			}
			set = hasPods(t, client, 2)
			if len(set.Status.Conditions) != 0 {
				t.Errorf("the conditions are %+v", set.Status.Conditions)
			}
			const most = 8 // a few for what admission did not know at once
			if got := tries.Load(); got > most {
				t.Errorf("%d creations were tried", got)
			}
		})
	}
}

// What a quota charges for others frees nothing.
func TestAQuotaThatIsUsedMoreWakesNobody(t *testing.T) {
	client, tries := refusedSet(t)
	patch := []byte(`{"spec":{"hard":{"secrets":"5"}}}`)
	if _, err := client.CoreV1().ResourceQuotas("q").Patch(t.Context(), "q", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	uses(t, client, "secrets", "0")
	before := tries.Load()
	for i := range 3 {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("s", i)}}
		if _, err := client.CoreV1().Secrets("q").Create(t.Context(), secret, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
	}
	uses(t, client, "secrets", "3")
	if err := client.CoreV1().Pods("q").Delete(t.Context(), "other", metav1.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil {
		t.Fatal(err)
	}
	hasPods(t, client, 2)
	if got := tries.Load() - before; got > 3 {
		t.Errorf("%d creations were tried for one that there was room for", got)
	}
}
