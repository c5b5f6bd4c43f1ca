package placement_test

import (
	"fmt"
	"testing"
)

// BenchmarkDecide shows what placing one Pod costs: a plain one, one that
// spreads among Pods that are there, and one that fits nowhere.
func BenchmarkDecide(b *testing.B) {
	const spread = "  spec: {topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: web}}}]}\n"
	for _, nodes := range []int{1, 1_000} {
		w := newWorld()
		for i := range nodes {
			name := fmt.Sprintf("node-%04d", i)
			if err := w.changeNode(name, []string{fmt.Sprintf("label:zone=%d", i%3)}); err != nil {
				b.Fatal(err)
			}
			for j := range 10 {
				pod, err := podOf(fmt.Sprintf("pod-%d-%d", i, j), []string{"cpu=100m", "label:app=web"}, "")
				if err != nil {
					b.Fatal(err)
				}
				if err := w.place(pod, name); err != nil {
					b.Fatal(err)
				}
			}
		}
		placed := w.snapshot.Placed
		for _, kind := range []struct{ name, cpu, rules string }{{"plain", "cpu=100m", ""}, {"spread", "cpu=100m", spread}, {"nowhere", "cpu=100", ""}} {
			pod, err := podOf("web", []string{kind.cpu, "label:app=web"}, kind.rules)
			if err != nil {
				b.Fatal(err)
			}
			w.pod, w.snapshot.Placed = pod, nil
			if kind.rules != "" {
				w.snapshot.Placed = placed
			}
			b.Run(fmt.Sprintf("nodes=%d/%s", nodes, kind.name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					w.decide()
				}
			})
		}
	}
}
