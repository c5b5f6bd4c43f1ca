package admission_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	"coxswain.dev/cox/internal/apiserver/apitest"
)

// served is a server in whose default namespace Pods can be made.
func served(t *testing.T) (*apitest.Server, kubernetes.Interface) {
	t.Helper()
	server := apitest.Start(t)
	client := server.Client(t)
	account := &corev1.ServiceAccount{
		ObjectMeta:       metav1.ObjectMeta{Name: "default"},
		ImagePullSecrets: []corev1.LocalObjectReference{{Name: "registry"}},
	}
	if _, err := client.CoreV1().ServiceAccounts("default").Create(t.Context(), account, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return server, client
}

func pod(change ...func(*corev1.Pod)) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "a"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "nginx"}}},
	}
	for _, f := range change {
		f(pod)
	}
	return pod
}

// dryRun admits the Pod and returns it as it would be stored.
func dryRun(t *testing.T, client kubernetes.Interface, pod *corev1.Pod) (*corev1.Pod, error) {
	t.Helper()
	return client.CoreV1().Pods("default").Create(t.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
}

func mustAdmit(t *testing.T, client kubernetes.Interface, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	admitted, err := dryRun(t, client, pod)
	if err != nil {
		t.Fatal(err)
	}
	return admitted
}

func TestPodsGetAServiceAccountAndItsToken(t *testing.T) {
	_, client := served(t)
	admitted := mustAdmit(t, client, pod(func(p *corev1.Pod) {
		p.Spec.InitContainers = []corev1.Container{{Name: "first", Image: "busybox"}}
	}))
	spec := admitted.Spec
	if spec.ServiceAccountName != "default" || spec.DeprecatedServiceAccount != "default" {
		t.Errorf("service account %q, %q", spec.ServiceAccountName, spec.DeprecatedServiceAccount)
	}
	if len(spec.ImagePullSecrets) != 1 || spec.ImagePullSecrets[0].Name != "registry" {
		t.Errorf("pull secrets %v", spec.ImagePullSecrets)
	}
	if len(spec.Volumes) != 1 || !strings.HasPrefix(spec.Volumes[0].Name, "kube-api-access-") || len(spec.Volumes[0].Name) != len("kube-api-access-")+5 {
		t.Fatalf("volumes %v", spec.Volumes)
	}
	projected := spec.Volumes[0].Projected
	if *projected.DefaultMode != 0o644 || *projected.Sources[0].ServiceAccountToken.ExpirationSeconds != 3607 ||
		projected.Sources[1].ConfigMap.Name != "kube-root-ca.crt" || projected.Sources[2].DownwardAPI.Items[0].Path != "namespace" {
		t.Errorf("projection %v", projected)
	}
	for _, container := range append(spec.InitContainers, spec.Containers...) {
		mount := corev1.VolumeMount{Name: spec.Volumes[0].Name, ReadOnly: true, MountPath: "/var/run/secrets/kubernetes.io/serviceaccount"}
		if !equality.Semantic.DeepEqual(container.VolumeMounts, []corev1.VolumeMount{mount}) {
			t.Errorf("%s mounts %v", container.Name, container.VolumeMounts)
		}
	}
}

func TestNoTokenIsMountedWhereNoneIsWanted(t *testing.T) {
	_, client := served(t)
	for name, change := range map[string]func(*corev1.Pod){
		"the Pod says so": func(p *corev1.Pod) { p.Spec.AutomountServiceAccountToken = ptr.To(false) },
		"something else is there": func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "own", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
			p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "own", MountPath: "/var/run/secrets/kubernetes.io/serviceaccount"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, volume := range mustAdmit(t, client, pod(change)).Spec.Volumes {
				if volume.Projected != nil {
					t.Errorf("there is a %v", volume)
				}
			}
		})
	}
}

func TestPodsGetPriorityAndTolerations(t *testing.T) {
	_, client := served(t)
	spec := mustAdmit(t, client, pod()).Spec
	if *spec.Priority != 0 || *spec.PreemptionPolicy != corev1.PreemptLowerPriority {
		t.Errorf("priority %d, %s", *spec.Priority, *spec.PreemptionPolicy)
	}
	if len(spec.Tolerations) != 2 || spec.Tolerations[0].Key != "node.kubernetes.io/not-ready" || spec.Tolerations[1].Key != "node.kubernetes.io/unreachable" ||
		*spec.Tolerations[0].TolerationSeconds != 300 || spec.Tolerations[0].Effect != corev1.TaintEffectNoExecute {
		t.Errorf("tolerations %v", spec.Tolerations)
	}
	spec = mustAdmit(t, client, pod(func(p *corev1.Pod) {
		p.Spec.PriorityClassName = "system-node-critical"
		p.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
	})).Spec
	if *spec.Priority != 2000001000 || len(spec.Tolerations) != 1 {
		t.Errorf("priority %d, tolerations %v", *spec.Priority, spec.Tolerations)
	}
}

func TestPodsAreRefused(t *testing.T) {
	_, client := served(t)
	for _, test := range []struct {
		name   string
		change func(*corev1.Pod)
		want   string
	}{
		{"service account missing", func(p *corev1.Pod) { p.Spec.ServiceAccountName = "x" },
			`pods "a" is forbidden: error looking up service account default/x: serviceaccount "x" not found`},
		{"unknown priority class", func(p *corev1.Pod) { p.Spec.PriorityClassName = "high" },
			`pods "a" is forbidden: no PriorityClass with name high was found`},
		{"priority given", func(p *corev1.Pod) { p.Spec.Priority = ptr.To[int32](7) },
			`pods "a" is forbidden: the integer value of priority (7) must not be provided in pod spec; priority admission controller computed 0 from the given PriorityClass name`},
		{"policy given", func(p *corev1.Pod) { p.Spec.PreemptionPolicy = ptr.To(corev1.PreemptNever) },
			`pods "a" is forbidden: the string value of PreemptionPolicy (Never) must not be provided in pod spec; priority admission controller computed PreemptLowerPriority from the given PriorityClass name`},
		{"mirror with an account", func(p *corev1.Pod) {
			p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"}
			p.Spec.ServiceAccountName = "default"
		}, `pods "a" is forbidden: a mirror pod may not reference service accounts`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := dryRun(t, client, pod(test.change)); err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestAPodWaitsForTheDefaultAccountOfANewNamespace(t *testing.T) {
	client := apitest.Start(t).Client(t)
	done := make(chan error)
	go func() {
		_, err := client.CoreV1().Pods("default").Create(t.Context(), pod(), metav1.CreateOptions{})
		done <- err
	}()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
	if _, err := client.CoreV1().ServiceAccounts("default").Create(t.Context(), account, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	_, err := client.CoreV1().Pods("kube-system").Create(t.Context(), pod(), metav1.CreateOptions{})
	if want := `pods "a" is forbidden: error looking up service account kube-system/default: serviceaccount "default" not found`; err == nil || err.Error() != want {
		t.Errorf("without one: %v", err)
	}
}

func TestLimitRangesCompleteAndRefuse(t *testing.T) {
	_, client := served(t)
	limits := &corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Name: "limits"}, Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
		Type: corev1.LimitTypeContainer,
		Max:  corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("800m")},
		Min:  corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("200m")},
	}}}}
	if _, err := client.CoreV1().LimitRanges("default").Create(t.Context(), limits, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	awaitAdmission(t, func() bool {
		admitted, err := dryRun(t, client, pod())
		return err == nil && admitted.Annotations["kubernetes.io/limit-ranger"] == "LimitRanger plugin set: cpu request for container web; cpu limit for container web" &&
			admitted.Spec.Containers[0].Resources.Limits.Cpu().String() == "800m"
	})
	big := func(cpu string) *corev1.Pod {
		return pod(func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources = corev1.ResourceRequirements{
				Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)},
				Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)},
			}
		})
	}
	for cpu, want := range map[string]string{
		"1500m": `pods "a" is forbidden: maximum cpu usage per Container is 800m, but limit is 1500m`,
		"100m":  `pods "a" is forbidden: minimum cpu usage per Container is 200m, but request is 100m`,
	} {
		if _, err := dryRun(t, client, big(cpu)); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

func TestPodSecurityIsEnforcedWhereTheNamespaceAsksForIt(t *testing.T) {
	server, client := served(t)
	namespace, err := client.CoreV1().Namespaces().Get(t.Context(), "default", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	privileged := func() *corev1.Pod {
		return pod(func(p *corev1.Pod) { p.Spec.HostNetwork = true })
	}
	mustAdmit(t, client, privileged())
	namespace.Labels["pod-security.kubernetes.io/enforce"] = "baseline"
	namespace.Labels["pod-security.kubernetes.io/warn"] = "restricted"
	if _, err := client.CoreV1().Namespaces().Update(t.Context(), namespace, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	awaitAdmission(t, func() bool {
		_, err := dryRun(t, client, privileged())
		return err != nil && err.Error() == `pods "a" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)`
	})
	warned := &warnings{}
	config := server.Admin()
	config.WarningHandler, config.WarningHandlerWithContext = warned, nil
	if _, err := dryRun(t, kubernetes.NewForConfigOrDie(config), pod()); err != nil {
		t.Fatal(err)
	}
	if len(*warned) != 1 || !strings.HasPrefix((*warned)[0], `would violate PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "web"`) {
		t.Errorf("warned %q", *warned)
	}
}

type warnings []string

var _ rest.WarningHandler = &warnings{}

func (w *warnings) HandleWarningHeader(_ int, _, text string) { *w = append(*w, text) }
