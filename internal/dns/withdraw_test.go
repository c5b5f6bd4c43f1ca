package dns

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"coxswain.dev/cox/internal/routing"
)

// withdrawing is a Server that knows the cluster of testObjects, and a way to
// change that.
func withdrawing(t *testing.T) (*Server, *fake.Clientset) {
	t.Helper()
	client := fake.NewClientset(testServices(), testSlices())
	server, err := New(Config{Client: client, Listen: netip.AddrPortFrom(localAddr, 53)})
	if err != nil {
		t.Fatal(err)
	}
	server.config.Informers.Start(t.Context().Done())
	t.Cleanup(server.config.Informers.Shutdown)
	server.config.Informers.WaitForCacheSync(t.Context().Done())
	return server, client
}

// unrouted asks in the background, and tells whether the answer is there when
// all has come to rest.
func unrouted(t *testing.T, server *Server, addr string) (answered func() bool) {
	t.Helper()
	answer := make(chan error, 1)
	go func() { answer <- server.Unrouted(t.Context(), routing.Leaving{IP: netip.MustParseAddr(addr)}) }()
	return func() bool {
		synctest.Wait()
		select {
		case err := <-answer:
			if err != nil {
				t.Errorf("%s: %v", addr, err)
			}
			return true
		default:
			return false
		}
	}
}

func TestPodLeavesTheAnswersBeforeItIsUnrouted(t *testing.T) {
	for how, leave := range map[string]func(endpoint *discoveryv1.Endpoint) bool{
		"terminating": func(endpoint *discoveryv1.Endpoint) bool {
			endpoint.Conditions = discoveryv1.EndpointConditions{Ready: new(false), Serving: new(true), Terminating: new(true)}
			return true
		},
		"not ready":                              func(endpoint *discoveryv1.Endpoint) bool { endpoint.Conditions.Ready = new(false); return true },
		"terminating, of one that publishes all": func(endpoint *discoveryv1.Endpoint) bool { endpoint.Conditions.Terminating = new(true); return true },
		"gone":                                   func(*discoveryv1.Endpoint) bool { return false },
	} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, client := withdrawing(t)
				answered := unrouted(t, server, "10.244.0.6")
				if answered() {
					t.Fatal("while answers name it")
				}
				slices := client.DiscoveryV1().EndpointSlices("default")
				slice, err := slices.Get(t.Context(), "peers-x", metav1.GetOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if !leave(&slice.Endpoints[1]) {
					slice.Endpoints = slice.Endpoints[:1]
				}
				if _, err := slices.Update(t.Context(), slice, metav1.UpdateOptions{}); err != nil {
					t.Fatal(err)
				}
				if !answered() {
					t.Error("not when no answer names it for good")
				}
			})
		})
	}
}

func TestPodOfADeletedServiceIsUnrouted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := withdrawing(t)
		answered := unrouted(t, server, "10.244.0.6")
		if answered() {
			t.Fatal("while answers name it")
		}
		if err := client.CoreV1().Services("default").Delete(t.Context(), "peers", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		if !answered() {
			t.Error("not when its Service is gone")
		}
	})
}

func TestWhoIsInSeveralSlicesLeavesAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := withdrawing(t)
		answered := unrouted(t, server, "10.244.0.5")
		for _, name := range []string{"peers-x", "peers-y"} {
			if answered() {
				t.Fatalf("while %s names it", name)
			}
			if err := client.DiscoveryV1().EndpointSlices("default").Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		if !answered() {
			t.Error("not when no slice names it")
		}
	})
}

// Nobody, one that is not ready, and one that is named until it is gone.
func TestNothingToWaitFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, _ := withdrawing(t)
		for _, addr := range []string{"10.244.0.99", "10.244.0.7", "10.244.0.8"} {
			if !unrouted(t, server, addr)() {
				t.Errorf("%s is waited for", addr)
			}
		}
		if err := server.Routed(t.Context(), netip.MustParseAddr("10.244.0.99"), []string{"default/peers"}); err != nil {
			t.Error(err)
		}
		if err := server.Drained(t.Context(), routing.Leaving{IP: netip.MustParseAddr("10.244.0.6")}); err != nil {
			t.Error(err)
		}
	})
}

// Before the server knows the endpoints it cannot say that one has left.
func TestUnroutedWaitsUntilEndpointsAreKnown(t *testing.T) {
	server, err := New(Config{Client: fake.NewClientset(), Listen: netip.AddrPortFrom(localAddr, 53)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := server.Unrouted(ctx, routing.Leaving{IP: netip.MustParseAddr("10.244.0.6")}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want %v", err, context.DeadlineExceeded)
	}
}

func TestUnroutedEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, _ := withdrawing(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := server.Unrouted(ctx, routing.Leaving{IP: netip.MustParseAddr("10.244.0.6")}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want %v", err, context.DeadlineExceeded)
		}
	})
}
