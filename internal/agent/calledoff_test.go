package agent

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"coxswain.dev/cox/internal/podlifecycle"
)

func TestOnlyAStartThatNobodyKnowsOfIsForgiven(t *testing.T) {
	failed := podlifecycle.Container{ID: "c1", State: podlifecycle.Exited, FinishedAt: time.Unix(1, 0), ExitCode: 128}
	ran := failed
	ran.StartedAt = time.Unix(1, 0)
	containers := func(list ...corev1.ContainerStatus) corev1.PodStatus {
		return corev1.PodStatus{ContainerStatuses: list}
	}
	current := corev1.ContainerStatus{ContainerID: "containerd://c1"}
	before := corev1.ContainerStatus{ContainerID: "containerd://c2"}
	before.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ContainerID: "containerd://c1"}

	for name, test := range map[string]struct {
		container podlifecycle.Container
		started   map[string]bool
		published corev1.PodStatus
		want      podlifecycle.ContainerState
	}{
		"nobody knows of it":          {failed, nil, containers(), podlifecycle.Created},
		"another one is known":        {failed, map[string]bool{"c2": true}, containers(corev1.ContainerStatus{ContainerID: "containerd://c2"}), podlifecycle.Created},
		"this agent has started it":   {failed, map[string]bool{"c1": true}, containers(), podlifecycle.Exited},
		"it is published":             {failed, nil, containers(current), podlifecycle.Exited},
		"it is published as the last": {failed, nil, containers(before), podlifecycle.Exited},
		"it ran before it ended":      {ran, nil, containers(), podlifecycle.Exited},
		"it runs":                     {podlifecycle.Container{ID: "c1", State: podlifecycle.Running}, nil, containers(), podlifecycle.Running},
		"its state is unknown":        {podlifecycle.Container{ID: "c1", State: podlifecycle.Unknown}, nil, containers(), podlifecycle.Unknown},
		"it was created and no more":  {podlifecycle.Container{ID: "c1", State: podlifecycle.Created}, nil, containers(), podlifecycle.Created},
		"it is published as an init":  {failed, nil, corev1.PodStatus{InitContainerStatuses: []corev1.ContainerStatus{current}}, podlifecycle.Exited},
	} {
		t.Run(name, func(t *testing.T) {
			w := &worker{pod: &corev1.Pod{Status: test.published}, started: test.started}
			observed := []podlifecycle.Container{test.container}
			w.forgive(observed)
			if got := observed[0]; got.State != test.want || got.FinishedAt != test.container.FinishedAt {
				t.Errorf("forgive made it %s, finished at %v; want %s and the time kept", got.State, got.FinishedAt, test.want)
			}
		})
	}
}
