package ingress

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
)

// BenchmarkRequest is one small request over a kept connection, through the
// front and without it.
func BenchmarkRequest(b *testing.B) {
	there := pod(b, named("web"))
	for _, c := range []struct{ name, url string }{
		{"direct", "http://" + there.address.String()},
		{"front", newEntrance(b, there).server.URL},
	} {
		b.Run(c.name, func(b *testing.B) {
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
			defer client.CloseIdleConnections()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					response, err := client.Get(c.url)
					if err != nil {
						b.Error(err)
						return
					}
					io.Copy(io.Discard, response.Body)
					response.Body.Close()
				}
			})
		})
	}
}

// BenchmarkMatch finds a rule in a table of 1,000 hosts with 10 paths each.
func BenchmarkMatch(b *testing.B) {
	var ingresses []*networkingv1.Ingress
	for host := range 1000 {
		ingress := ingressFor(fmt.Sprintf("i%d", host), fmt.Sprintf("h%d.example", host), "web")
		for path := range 9 {
			more := ingress.Spec.Rules[0].HTTP.Paths[0]
			more.Path = fmt.Sprintf("/path/%d", path)
			ingress.Spec.Rules[0].HTTP.Paths = append(ingress.Spec.Rules[0].HTTP.Paths, more)
		}
		ingresses = append(ingresses, ingress)
	}
	b.Run("make", func(b *testing.B) {
		for b.Loop() {
			NewTable(ingresses)
		}
	})
	table, _ := NewTable(ingresses)
	b.Run("match", func(b *testing.B) {
		for b.Loop() {
			if _, ok := table.Match("h500.example:8080", "/path/7/further"); !ok {
				b.Fatal("nowhere")
			}
		}
	})
}
