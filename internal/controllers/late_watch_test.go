package controllers_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// roundTripper is a function that is a transport.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// gate holds the answers to requests back while it is closed.
type gate struct {
	io.ReadCloser
	closed *atomic.Bool
	opened chan struct{}
}

func (g gate) Read(into []byte) (int, error) {
	n, err := g.ReadCloser.Read(into)
	if g.closed.Load() {
		<-g.opened
	}
	return n, err
}

// lateWatch is a transport on which the watch of Pods goes silent with the
// first creation, until opened is closed. The answers of the first lose
// creations are lost, after they have happened.
func lateWatch(lose int32, created *atomic.Int32, opened chan struct{}) func(http.RoundTripper) http.RoundTripper {
	var closed atomic.Bool
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			isCreate := r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/namespaces/default/pods")
			if isCreate {
				closed.Store(true)
			}
			response, err := next.RoundTrip(r)
			switch {
			case err != nil:
			case r.Method == http.MethodGet && r.URL.Path == "/api/v1/pods":
				response.Body = gate{response.Body, &closed, opened}
			case isCreate && created.Add(1) <= lose:
				_ = response.Body.Close()
				return nil, errors.New("the connection broke")
			}
			return response, err
		})
	}
}

// TestNoSecondPod is upstream's histories of Pods made twice: the watch says
// nothing of them for long (#129795), or their creation seemed to fail and had
// happened (#67662). Other events of the set must not make the controller
// count again before it has seen its own Pods.
func TestNoSecondPod(t *testing.T) {
	const wanted = 5
	for name, lose := range map[string]int32{"late watch": 0, "lost answers": 3} {
		t.Run(name, func(t *testing.T) {
			var created atomic.Int32
			opened := make(chan struct{})
			client := withControllers(t, lateWatch(lose, &created, opened))
			makeReplicaSet(t, client, wanted)
			eventually(t, func() error {
				if made := created.Load(); made < wanted {
					return fmt.Errorf("%d Pods were asked for", made)
				}
				return nil
			})
			disturb(t, client)
			close(opened)
			if pods := settled(t, client, wanted); len(pods) != wanted || created.Load() != wanted {
				t.Errorf("there are %d Pods, and %d were made, not %d", len(pods), created.Load(), wanted)
			}
		})
	}
}

// disturb touches the set again and again, and ends when the controller has
// been at work since: another set's status shows it.
func disturb(t *testing.T, client kubernetes.Interface) {
	t.Helper()
	for i := range 20 {
		patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"touched":"%d"}}}`, i)
		if _, err := client.AppsV1().ReplicaSets("default").Patch(t.Context(), "web", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	other := replicaSet(0)
	other.Name = "other"
	if _, err := client.AppsV1().ReplicaSets("default").Create(t.Context(), other, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		set, err := client.AppsV1().ReplicaSets("default").Get(t.Context(), "other", metav1.GetOptions{})
		if err == nil && set.Status.ObservedGeneration != set.Generation {
			err = fmt.Errorf("the status is %+v", set.Status)
		}
		return err
	})
}
