package environ

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// fixed has one ConfigMap and one Secret, both named "there".
type fixed struct{}

func (fixed) ConfigMap(_ context.Context, _, name string) (*corev1.ConfigMap, error) {
	if name != "there" {
		return nil, apierrors.NewNotFound(corev1.Resource("configmap"), name)
	}
	return &corev1.ConfigMap{Data: map[string]string{"key": "from the map", "other": "too"}}, nil
}

func (fixed) Secret(_ context.Context, _, name string) (*corev1.Secret, error) {
	if name != "there" {
		return nil, apierrors.NewNotFound(corev1.Resource("secret"), name)
	}
	return &corev1.Secret{Data: map[string][]byte{"key": []byte("from the secret")}}, nil
}

var yes = true

func mapKey(name, key string, optional *bool) *corev1.EnvVarSource {
	return &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: key, Optional: optional}}
}

func secretKey(name, key string, optional *bool) *corev1.EnvVarSource {
	return &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: key, Optional: optional}}
}

func TestMake(t *testing.T) {
	for _, test := range []struct {
		name      string
		container corev1.Container
		services  map[string]string
		want, err string
	}{
		{name: "values in their order", container: corev1.Container{Env: []corev1.EnvVar{{Name: "B", Value: "1"}, {Name: "A", Value: "$(B)2"}}}, want: "B=1 A=12"},
		{name: "a later value wins", container: corev1.Container{Env: []corev1.EnvVar{{Name: "A", Value: "1"}, {Name: "A", Value: "$(A)2"}}}, want: "A=12"},
		{name: "a variable is known only after it", container: corev1.Container{Env: []corev1.EnvVar{{Name: "A", Value: "$(B)"}, {Name: "B", Value: "1"}}}, want: "A=$(B) B=1"},
		{name: "services may be used and replaced", services: map[string]string{"HOST": "10.0.0.1", "PORT": "80"},
			container: corev1.Container{Env: []corev1.EnvVar{{Name: "URL", Value: "$(HOST):$(PORT)"}, {Name: "PORT", Value: "81"}}}, want: "HOST=10.0.0.1 URL=10.0.0.1:80 PORT=81"},
		{name: "a key of a ConfigMap", container: corev1.Container{Env: []corev1.EnvVar{{Name: "A", ValueFrom: mapKey("there", "key", nil)}}}, want: "A=from the map"},
		{name: "a key of a Secret", container: corev1.Container{Env: []corev1.EnvVar{{Name: "A", ValueFrom: secretKey("there", "key", nil)}}}, want: "A=from the secret"},
		{name: "no such ConfigMap", container: corev1.Container{Env: []corev1.EnvVar{{Name: "A", ValueFrom: mapKey("no", "key", nil)}}}, err: `configmap "no" not found`},
		{name: "no such key", container: corev1.Container{Env: []corev1.EnvVar{{Name: "A", ValueFrom: mapKey("there", "no", nil)}}}, err: "couldn't find key no in ConfigMap ns/there"},
		{name: "no such key in a Secret", container: corev1.Container{Env: []corev1.EnvVar{{Name: "A", ValueFrom: secretKey("there", "no", nil)}}}, err: "couldn't find key no in Secret ns/there"},
		{name: "what may be missing is", container: corev1.Container{Env: []corev1.EnvVar{{Name: "A", ValueFrom: mapKey("no", "key", &yes)}, {Name: "B", ValueFrom: secretKey("there", "no", &yes)}}}},
		{name: "a whole ConfigMap with a prefix", container: corev1.Container{EnvFrom: []corev1.EnvFromSource{
			{Prefix: "P_", ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "there"}}}}}, want: "P_key=from the map P_other=too"},
		{name: "a field", container: corev1.Container{Env: []corev1.EnvVar{{Name: "A", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels['app']"}}}}}, want: "A=web"},
	} {
		t.Run(test.name, func(t *testing.T) {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Labels: map[string]string{"app": "web"}}}
			got, err := Make(t.Context(), Input{Pod: pod, Container: &test.container, Services: test.services, Objects: fixed{}})
			if test.err != "" {
				if err == nil || err.Error() != test.err {
					t.Errorf("error = %v, want %s", err, test.err)
				}
				return
			}
			var texts []string
			for _, variable := range got {
				texts = append(texts, variable.String())
			}
			if text := strings.Join(texts, " "); err != nil || text != test.want {
				t.Errorf("Make = %q, %v, want %q", text, err, test.want)
			}
		})
	}
}

func TestExpand(t *testing.T) {
	lookup := Lookup([]Variable{{"A", "1"}, {"LOOP", "$(LOOP)"}})
	for text, want := range map[string]string{
		"": "", "plain": "plain", "$(A)": "1", "x$(A)y$(A)": "x1y1", "$(B)": "$(B)", "$$(A)": "$(A)", "$$$(A)": "$1",
		"$": "$", "$A": "$A", "$(A": "$(A", "$()": "$()", "$(LOOP)": "$(LOOP)", "100$": "100$", "$((A))": "$((A))", "$(A$(A)": "$(A$(A)",
	} {
		if got := Expand(text, lookup); got != want {
			t.Errorf("Expand(%q) = %q, want %q", text, got, want)
		}
	}
}

func FuzzExpand(f *testing.F) {
	f.Add("$(A)$$(A)$(")
	f.Fuzz(func(t *testing.T, text string) {
		nothing := func(string) (string, bool) { return "", false }
		if got := Expand(text, nothing); !strings.Contains(text, "$$") && got != text {
			t.Errorf("Expand(%q) = %q although nothing is known", text, got)
		}
	})
}

func TestServices(t *testing.T) {
	service := func(namespace, name, ip string, ports ...corev1.ServicePort) *corev1.Service {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: corev1.ServiceSpec{ClusterIP: ip, Ports: ports}}
	}
	all := []*corev1.Service{
		service("default", "kubernetes", "10.96.0.1", corev1.ServicePort{Name: "https", Port: 443, Protocol: "TCP"}),
		service("ns", "http-go", "10.96.0.7", corev1.ServicePort{Port: 8080}, corev1.ServicePort{Name: "d-n-s", Port: 53, Protocol: "UDP"}),
		service("ns", "headless", corev1.ClusterIPNone, corev1.ServicePort{Port: 1}),
		service("other", "foreign", "10.96.0.9", corev1.ServicePort{Port: 1}),
	}
	api := map[string]string{
		"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443", "KUBERNETES_SERVICE_PORT_HTTPS": "443",
		"KUBERNETES_PORT": "tcp://10.96.0.1:443", "KUBERNETES_PORT_443_TCP": "tcp://10.96.0.1:443", "KUBERNETES_PORT_443_TCP_PROTO": "tcp",
		"KUBERNETES_PORT_443_TCP_PORT": "443", "KUBERNETES_PORT_443_TCP_ADDR": "10.96.0.1",
	}
	if diff := cmp.Diff(api, Services(all, "ns", false)); diff != "" {
		t.Errorf("without links (-want +got):\n%s", diff)
	}
	got := Services(all, "ns", true)
	for name, want := range map[string]string{
		"HTTP_GO_SERVICE_HOST": "10.96.0.7", "HTTP_GO_SERVICE_PORT": "8080", "HTTP_GO_PORT": "tcp://10.96.0.7:8080",
		"HTTP_GO_SERVICE_PORT_D_N_S": "53", "HTTP_GO_PORT_53_UDP": "udp://10.96.0.7:53", "HTTP_GO_PORT_53_UDP_ADDR": "10.96.0.7",
	} {
		if got[name] != want {
			t.Errorf("%s = %q, want %q", name, got[name], want)
		}
	}
	for name := range got {
		if strings.HasPrefix(name, "HEADLESS") || strings.HasPrefix(name, "FOREIGN") {
			t.Errorf("%s is set", name)
		}
	}
}
