package podlifecycle

import corev1 "k8s.io/api/core/v1"

// addProbes asks for the probes of every running container: the startup probe
// alone until it has succeeded, then liveness and readiness.
func (v *view) addProbes() {
	stopping := v.Pod.DeletionTimestamp != nil || v.Gone || v.finished()
	for _, spec := range v.specs() {
		c := v.current(spec.Name)
		if c == nil || c.State != Running || v.Underway[StartContainer{Container: spec.Name}.Key()] {
			continue
		}
		started := v.started(spec, c)
		add := func(kind ProbeKind, probe *corev1.Probe, runs bool) {
			if probe != nil && runs {
				v.d.Probes = append(v.d.Probes, Probe{Container: spec.Name, ID: c.ID, Kind: kind})
			}
		}
		// A Pod that stops is not killed for being unwell; it may still say
		// that it is not ready.
		add(Startup, spec.StartupProbe, !started && !stopping)
		add(Liveness, spec.LivenessProbe, started && !stopping)
		add(Readiness, spec.ReadinessProbe, started && !v.Gone)
	}
}
