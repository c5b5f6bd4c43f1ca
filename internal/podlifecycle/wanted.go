package podlifecycle

import (
	corev1 "k8s.io/api/core/v1"
)

// specs are all containers in the order of their start.
func (v *view) specs() []*corev1.Container {
	spec := &v.Pod.Spec
	var all []*corev1.Container
	for i := range spec.InitContainers {
		all = append(all, &spec.InitContainers[i])
	}
	for i := range spec.EphemeralContainers {
		all = append(all, asContainer(&spec.EphemeralContainers[i]))
	}
	for i := range spec.Containers {
		all = append(all, &spec.Containers[i])
	}
	return all
}

func (v *view) isInit(name string) bool {
	for i := range v.Pod.Spec.InitContainers {
		if v.Pod.Spec.InitContainers[i].Name == name {
			return true
		}
	}
	return false
}

// wanted are the containers that are to be started now, in order.
func (v *view) wanted() []*corev1.Container {
	var wanted []*corev1.Container
	for i := range v.Pod.Spec.EphemeralContainers {
		if c := asContainer(&v.Pod.Spec.EphemeralContainers[i]); v.current(c.Name) == nil {
			wanted = append(wanted, c)
		}
	}
	inits, done := v.wantedInits()
	wanted = append(wanted, inits...)
	if !done {
		return wanted
	}
	for i := range v.Pod.Spec.Containers {
		c := &v.Pod.Spec.Containers[i]
		if v.wants(c, v.current(c.Name)) {
			wanted = append(wanted, c)
		}
	}
	return wanted
}

// wants tells whether a container with no running instance gets a new one.
func (v *view) wants(spec *corev1.Container, c *Container) bool {
	if c == nil {
		return true
	}
	return c.State == Exited && v.restarts(spec, c.ExitCode)
}

// wantedInits goes through the init containers up to the first that has not
// done its part, and tells whether all have.
func (v *view) wantedInits() (wanted []*corev1.Container, done bool) {
	if v.mainsStarted() {
		for i := range v.Pod.Spec.InitContainers {
			spec := &v.Pod.Spec.InitContainers[i]
			if c := v.current(spec.Name); isSidecar(spec) && !running(c) {
				wanted = append(wanted, spec)
			}
		}
		return wanted, true
	}
	for i := range v.Pod.Spec.InitContainers {
		spec := &v.Pod.Spec.InitContainers[i]
		c := v.current(spec.Name)
		if !v.here(c) && !running(c) {
			return append(wanted, spec), false
		}
		switch {
		case isSidecar(spec) && c.State == Exited:
			wanted = append(wanted, spec)
			if !v.nextInitBegan(i) {
				return wanted, false
			}
		case isSidecar(spec):
			if !v.started(spec, c) {
				return wanted, false
			}
		case c.State != Exited:
			return wanted, false
		case c.ExitCode != 0:
			if v.restarts(spec, c.ExitCode) {
				wanted = append(wanted, spec)
			}
			return wanted, false
		}
	}
	return wanted, true
}

// nextInitBegan tells whether the init container after i has been started.
func (v *view) nextInitBegan(i int) bool {
	inits := v.Pod.Spec.InitContainers
	return i+1 < len(inits) && v.here(v.current(inits[i+1].Name))
}

// mainsStarted tells whether a main container was started in this sandbox:
// then the init containers have done their part.
func (v *view) mainsStarted() bool {
	for i := range v.Pod.Spec.Containers {
		if v.here(v.current(v.Pod.Spec.Containers[i].Name)) {
			return true
		}
	}
	return false
}

// initsDone tells whether every init container has done its part.
func (v *view) initsDone() bool {
	_, done := v.wantedInits()
	return done
}
