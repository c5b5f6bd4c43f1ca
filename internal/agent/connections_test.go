package agent

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"coxswain.dev/cox/internal/routing"
)

func TestConnectionsAreTold(t *testing.T) {
	a := &Agent{workers: map[types.UID]*worker{}}
	for name, unrouted := range map[string]bool{"stays": false, "stops": true} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(name)}}
		a.workers[pod.UID] = &worker{pod: pod, unrouted: unrouted}
	}
	ask := func() *httptest.ResponseRecorder {
		recorder := httptest.NewRecorder()
		a.Handler().ServeHTTP(recorder, httptest.NewRequestWithContext(context.Background(), http.MethodGet, routing.ConnectionsPath, nil))
		return recorder
	}
	if got := ask(); got.Code != http.StatusNotFound {
		t.Errorf("without a proxy: %d", got.Code)
	}
	a.config.Connections = func() ([]routing.Connections, error) { return nil, errors.New("conntrack is not there") }
	if got := ask(); got.Code != http.StatusInternalServerError {
		t.Errorf("when counting fails: %d", got.Code)
	}
	open := []routing.Connections{{Endpoint: netip.MustParseAddrPort("10.244.0.5:8080"), Protocol: "tcp", Count: 3}}
	a.config.Connections = func() ([]routing.Connections, error) { return open, nil }
	var told routing.NodeTraffic
	if err := json.Unmarshal(ask().Body.Bytes(), &told); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(told.Open, open) || !slices.Equal(told.Stopping, []string{"default/stops"}) {
		t.Errorf("told %v", told)
	}
}
