package plan

import (
	"fmt"

	"github.com/distribution/reference"
	corev1 "k8s.io/api/core/v1"
)

// Unstartable returns why Pods of the spec would never start though the API
// takes them: images whose names are none, and volumes of kinds that no node
// here has.
func Unstartable(spec *corev1.PodSpec) []Problem {
	var all []Problem
	for _, volume := range spec.Volumes {
		if !isServed(volume.VolumeSource) {
			all = append(all, Problem{Stops: true, Cause: "Volume", Message: fmt.Sprintf("volumes[%s] is of a kind that is not supported", volume.Name),
				Advice: "use emptyDir, hostPath, configMap, secret, downwardAPI or projected"})
		}
	}
	check := func(list string, containers []corev1.Container) {
		for _, c := range containers {
			if _, err := reference.ParseNormalizedNamed(c.Image); err != nil {
				all = append(all, Problem{Stops: true, Cause: "Image", Message: fmt.Sprintf("%s[%s].image: couldn't parse image name %q: %v", list, c.Name, c.Image, err),
					Advice: "correct it: NAME:TAG, with the registry's host before it if need be"})
			}
		}
	}
	check("initContainers", spec.InitContainers)
	check("containers", spec.Containers)
	return all
}

// isServed tells whether the agent can make a volume; its tests hold the two
// together.
func isServed(v corev1.VolumeSource) bool {
	return v.EmptyDir != nil || v.HostPath != nil || v.ConfigMap != nil || v.Secret != nil || v.DownwardAPI != nil || v.Projected != nil
}
