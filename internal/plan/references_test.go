package plan

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

const specWithReferences = `
serviceAccountName: robot
imagePullSecrets: [{name: registry}]
initContainers:
- {name: prepare, envFrom: [{secretRef: {name: keys}}]}
containers:
- name: web
  envFrom: [{configMapRef: {name: settings}}, {configMapRef: {name: perhaps, optional: true}}]
  env:
  - {name: PLAIN, value: x}
  - {name: MODE, valueFrom: {configMapKeyRef: {name: settings, key: mode}}}
  - {name: TOKEN, valueFrom: {secretKeyRef: {name: keys, key: token}}}
volumes:
- {name: tmp, emptyDir: {}}
- {name: site, configMap: {name: site, items: [{key: index, path: index.html}]}}
- {name: tls, secret: {secretName: tls}}
- {name: all, projected: {sources: [{configMap: {name: more}}, {secret: {name: tls, items: [{key: crt, path: crt}]}}]}}
`

func TestMissingReferences(t *testing.T) {
	var spec corev1.PodSpec
	if err := yaml.UnmarshalStrict([]byte(specWithReferences), &spec); err != nil {
		t.Fatal(err)
	}
	all := Found{
		{"ServiceAccount", "robot"}: nil, {"Secret", "registry"}: nil, {"Secret", "keys"}: {"token"}, {"Secret", "tls"}: nil,
		{"ConfigMap", "settings"}: {"mode"}, {"ConfigMap", "site"}: {"index"}, {"ConfigMap", "more"}: {},
	}
	for _, test := range []struct {
		name   string
		change func(Found)
		want   string
	}{
		{"all is there", func(Found) {}, ""},
		{"no account", func(f Found) { delete(f, Target{"ServiceAccount", "robot"}) },
			"refused: ServiceAccount default/robot, which serviceAccountName names, does not exist"},
		{"no pull secret", func(f Found) { delete(f, Target{"Secret", "registry"}) },
			"note: Secret default/registry, which imagePullSecrets[registry] names, does not exist"},
		{"no secret", func(f Found) { delete(f, Target{"Secret", "keys"}) },
			"unready: Secret default/keys, which initContainers[prepare].envFrom[0].secretRef names, does not exist\n" +
				"unready: Secret default/keys, which containers[web].env[TOKEN].valueFrom.secretKeyRef names, does not exist"},
		{"no key", func(f Found) { f[Target{"ConfigMap", "settings"}] = []string{"Mode"} },
			`unready: ConfigMap default/settings, which containers[web].env[MODE].valueFrom.configMapKeyRef names, has no key "mode"`},
		{"no key for a volume", func(f Found) { f[Target{"ConfigMap", "site"}] = []string{} },
			`unready: ConfigMap default/site, which volumes[site].configMap names, has no key "index"`},
		{"nothing to project", func(f Found) { delete(f, Target{"ConfigMap", "more"}) },
			"unready: ConfigMap default/more, which volumes[all].projected.sources[0].configMap names, does not exist"},
	} {
		t.Run(test.name, func(t *testing.T) {
			found := Found{}
			for target, keys := range all {
				found[target] = keys
			}
			test.change(found)
			refused, unready, notes := Missing(References(&spec), found, "default")
			var got []string
			if refused != nil {
				got = append(got, "refused: "+refused.Message)
			}
			for _, p := range unready {
				got = append(got, "unready: "+p.Message)
			}
			for _, p := range notes {
				got = append(got, "note: "+p.Message)
			}
			if text := strings.Join(got, "\n"); text != test.want {
				t.Errorf("got\n%s\nwant\n%s", text, test.want)
			}
		})
	}
}
