package fielddiff_test

import (
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"coxswain.dev/cox/internal/fielddiff"
)

func parse[T any](t *testing.T, text string) T {
	t.Helper()
	var value T
	if err := yaml.UnmarshalStrict([]byte(text), &value); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return value
}

func TestEachFieldThatDiffers(t *testing.T) {
	for _, test := range []struct{ name, from, to, want string }{
		{"nothing", "spec: {hostNetwork: false}", "spec: {containers: []}", ""},
		{"an image", "spec: {containers: [{name: web, image: a}, {name: log, image: l}]}", "spec: {containers: [{name: web, image: b}, {name: log, image: l}]}",
			"  spec.containers[web].image: a -> b"},
		{"a container more", "spec: {containers: [{name: web, image: a}]}", "spec: {containers: [{name: log, image: l, args: [-f, x]}, {name: web, image: a}]}",
			"+ spec.containers[log].image: l\n+ spec.containers[log].args: [\"-f\",\"x\"]"},
		{"environment", "spec: {containers: [{name: web, env: [{name: A, value: '1'}, {name: B, value: '2'}]}]}",
			"spec: {containers: [{name: web, env: [{name: A, value: '3'}, {name: C, value: 'a b'}, {name: E}]}]}",
			"  spec.containers[web].env[A].value: 1 -> 3\n- spec.containers[web].env[B].value: 2\n+ spec.containers[web].env[C].value: a b\n+ spec.containers[web].env[E]"},
		{"order", "spec: {containers: [{name: web, env: [{name: A, value: '1'}, {name: B, value: '2'}]}]}",
			"spec: {containers: [{name: web, env: [{name: B, value: '2'}, {name: A, value: '1'}]}]}",
			"  spec.containers[web].env: order A,B -> B,A"},
		{"quantities by their meaning", "spec: {containers: [{name: web, resources: {limits: {cpu: '1', memory: 1Gi}}}]}",
			"spec: {containers: [{name: web, resources: {limits: {cpu: 1000m, memory: 2Gi}, requests: {cpu: '0'}}}]}",
			"  spec.containers[web].resources.limits[memory]: 1Gi -> 2Gi\n+ spec.containers[web].resources.requests[cpu]: 0"},
		{"labels", "metadata: {labels: {app: web, tier: ''}}", "metadata: {labels: {app: www}, annotations: {note: ' x'}}",
			"  metadata.labels[app]: web -> www\n- metadata.labels[tier]\n+ metadata.annotations[note]: \" x\""},
		{"none is not 0", "spec: {terminationGracePeriodSeconds: 0}", "spec: {}", "- spec.terminationGracePeriodSeconds: 0"},
		{"false is not none", "spec: {}", "spec: {automountServiceAccountToken: false}", "+ spec.automountServiceAccountToken: false"},
		{"an empty volume", "spec: {}", "spec: {volumes: [{name: tmp, emptyDir: {}}]}", "+ spec.volumes[tmp].emptyDir"},
		{"a volume of another kind", "spec: {volumes: [{name: tmp, emptyDir: {}}]}", "spec: {volumes: [{name: tmp, configMap: {name: c}}]}",
			"- spec.volumes[tmp].emptyDir\n+ spec.volumes[tmp].configMap.name: c"},
		{"a probe", "spec: {containers: [{name: web, readinessProbe: {httpGet: {path: /, port: 80}}}]}", "spec: {containers: [{name: web, readinessProbe: {httpGet: {path: /, port: http}}}]}",
			"  spec.containers[web].readinessProbe.httpGet.port: 80 -> http"},
		{"ports by number", "spec: {containers: [{name: web, ports: [{containerPort: 80}]}]}", "spec: {containers: [{name: web, ports: [{containerPort: 80, name: http}]}]}",
			"+ spec.containers[web].ports[80].name: http"},
		{"ports of two protocols by place", "spec: {containers: [{name: dns, ports: [{containerPort: 53, protocol: UDP}]}]}",
			"spec: {containers: [{name: dns, ports: [{containerPort: 53, protocol: UDP}, {containerPort: 53, protocol: TCP}]}]}",
			"+ spec.containers[dns].ports[1].containerPort: 53\n+ spec.containers[dns].ports[1].protocol: TCP"},
		{"a list without a key", "spec: {tolerations: [{key: a, operator: Exists}]}", "spec: {tolerations: [{key: b, operator: Exists}]}",
			"  spec.tolerations[0].key: a -> b"},
		{"a script", "spec: {containers: [{name: web, command: [sh]}]}", "spec: {containers: [{name: web, command: [sh, -c, \"a\\nb\"]}]}",
			"  spec.containers[web].command: [\"sh\"] -> [\"sh\",\"-c\",\"a\\nb\"]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			from, to := parse[corev1.PodTemplateSpec](t, test.from), parse[corev1.PodTemplateSpec](t, test.to)
			if got := lines(fielddiff.Of(from, to)); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func TestSettingsOfADeployment(t *testing.T) {
	from := parse[appsv1.DeploymentSpec](t, "{replicas: 3, minReadySeconds: 5, strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 25%}}}")
	to := parse[appsv1.DeploymentSpec](t, "{replicas: 0, paused: true, strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1}}}")
	want := "  replicas: 3 -> 0\n  strategy.rollingUpdate.maxSurge: 25% -> 1\n- minReadySeconds: 5\n+ paused: true"
	if got := lines(fielddiff.Of(from, to)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestThereAndBack: what is added one way is removed the other.
func TestThereAndBack(t *testing.T) {
	container := rapid.Custom(func(t *rapid.T) corev1.Container {
		env := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"A", "B", "C", "D"}), 0, 4, rapid.ID).Draw(t, "env")
		c := corev1.Container{Name: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name"), Image: rapid.SampledFrom([]string{"", "i", "j"}).Draw(t, "image")}
		for _, name := range env {
			c.Env = append(c.Env, corev1.EnvVar{Name: name, Value: rapid.SampledFrom([]string{"", "1", "2"}).Draw(t, "value")})
		}
		return c
	})
	rapid.Check(t, func(t *rapid.T) {
		a := corev1.PodSpec{Containers: rapid.SliceOfN(container, 0, 3).Draw(t, "a")}
		b := corev1.PodSpec{Containers: rapid.SliceOfN(container, 0, 3).Draw(t, "b")}
		there, back := fielddiff.Of(a, b), fielddiff.Of(b, a)
		turned := map[fielddiff.Op]fielddiff.Op{fielddiff.Added: fielddiff.Removed, fielddiff.Removed: fielddiff.Added, fielddiff.Changed: fielddiff.Changed, fielddiff.Reordered: fielddiff.Reordered}
		for _, c := range there {
			if !slices.Contains(back, fielddiff.Change{Path: c.Path, Op: turned[c.Op], From: c.To, To: c.From}) {
				t.Fatalf("%v has no counterpart in %v", c, back)
			}
		}
		if len(there) != len(back) {
			t.Fatalf("there\n%v\nback\n%v", there, back)
		}
		if len(fielddiff.Of(a, a)) != 0 {
			t.Fatalf("it differs from itself: %v", fielddiff.Of(a, a))
		}
	})
}

func lines(changes []fielddiff.Change) string {
	var all []string
	for _, c := range changes {
		all = append(all, c.String())
	}
	return strings.Join(all, "\n")
}
