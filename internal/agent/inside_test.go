package agent

import (
	"context"
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestWhatAContainerSees(t *testing.T) {
	n := theNode(t)
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "http-go", Namespace: "default"},
		Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 8080}}}}
	created, err := n.client.CoreV1().Services("default").Create(t.Context(), service, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		n.client.CoreV1().Services("default").Delete(context.Background(), "http-go", metav1.DeleteOptions{})
	})
	within(t, "the Service is known", func() bool {
		_, err := n.agent.services.Services("default").Get("http-go")
		return err == nil
	})
	pod := n.box("insider", "host", "id", "env=GREETING", "env=MY_IP", "env=HTTP_GO_SERVICE_HOST", "env=CPUS", "cat=/etc/hosts", "cat=/etc/resolv.conf", "forever")
	user := int64(1234)
	pod.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: &user, RunAsGroup: &user}
	pod.Spec.HostAliases = []corev1.HostAlias{{IP: "1.2.3.4", Hostnames: []string{"one", "two"}}}
	pod.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceCPU: *mustParse("1500m")}
	pod.Spec.Containers[0].Env = []corev1.EnvVar{
		{Name: "NAME", Value: "world"},
		{Name: "GREETING", Value: "hello $(NAME) $$(NAME) $(NOBODY)"},
		{Name: "MY_IP", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.podIP"}}},
		{Name: "CPUS", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.cpu"}}},
	}
	n.create(t, pod)
	pod = n.await(t, "insider", "Ready", isReady)
	text := ""
	within(t, "the program has printed everything", func() bool {
		text = n.logs(t, "insider", "")
		return strings.Contains(text, "/etc/resolv.conf:")
	})
	within(t, "resolv.conf is whole", func() bool {
		text = n.logs(t, "insider", "")
		return strings.Contains(text, "ndots")
	})
	for _, want := range []string{
		"insider <nil>\n", "1234 1234\n", "GREETING=hello world $(NAME) $(NOBODY)\n", "MY_IP=" + pod.Status.PodIP + "\n",
		"HTTP_GO_SERVICE_HOST=" + created.Spec.ClusterIP + "\n", "CPUS=2\n",
		pod.Status.PodIP + "\tinsider\n", "1.2.3.4\tone\ttwo\n",
		"search default.svc.cluster.local svc.cluster.local cluster.local", "nameserver 10.250.0.10\n", "options ndots:5\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in the log:\n%s", want, text)
		}
	}
	cpu, err := os.ReadFile("/sys/fs/cgroup/cpu" + n.agent.cgroups.Path(pod) + "/cpu.cfs_quota_us")
	if err == nil && strings.TrimSpace(string(cpu)) != "150000" {
		t.Errorf("CPU quota of the Pod's cgroup = %s", cpu)
	}
}

func TestVolumes(t *testing.T) {
	n := theNode(t)
	n.makeConfigMap(t, "words", map[string]string{"word": "first"})
	pod := n.box("mounts", "follow=/words/word")
	pod.Labels = map[string]string{"app": "x"}
	pod.Spec.Volumes = []corev1.Volume{
		{Name: "words", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "words"}}}},
		{Name: "memory", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}}},
		{Name: "self", VolumeSource: corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{Items: []corev1.DownwardAPIVolumeFile{
			{Path: "labels", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels"}}}}}},
		{Name: "token", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"}}}}}},
	}
	pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{
		{Name: "words", MountPath: "/words", ReadOnly: true}, {Name: "memory", MountPath: "/memory"},
		{Name: "self", MountPath: "/self"}, {Name: "words", MountPath: "/one-word", SubPath: "word"},
		{Name: "memory", MountPath: "/part", SubPath: "a/b"}, {Name: "token", MountPath: "/token"},
	}
	pod = n.create(t, pod)
	n.await(t, "mounts", "Ready", isReady)
	n.awaitLog(t, "mounts", "first\n")
	n.changeConfigMap(t, "words", map[string]string{"word": "second"})
	n.awaitLog(t, "mounts", "first\nsecond\n")
	if got := n.exec(t, pod, "/box", "cat=/one-word"); got != "/one-word: first <nil>\n" {
		t.Errorf("a file mounted by subPath = %q, want what it was at the start", got)
	}
	n.exec(t, pod, "/box", "write=/part/file:text")
	if got := n.exec(t, pod, "/box", "cat=/memory/a/b/file"); !strings.Contains(got, "text") {
		t.Errorf("a folder mounted by subPath: %q", got)
	}
	if got := n.exec(t, pod, "/box", "cat=/self/labels"); !strings.Contains(got, `app="x"`) {
		t.Errorf("labels = %q", got)
	}
	if got := n.exec(t, pod, "/box", "cat=/token/token"); strings.Count(got, ".") < 2 {
		t.Errorf("token = %q", got)
	}
	dir := n.agent.volumes.PodDir(pod.UID)
	n.remove(t, "mounts", 1)
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%s is left (%v)", dir, err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(mounts), dir) {
		t.Errorf("mounts are left below %s (%v)", dir, err)
	}
}

func TestRootIsRefusedWhereItIsNotWanted(t *testing.T) {
	n := theNode(t)
	pod := n.box("no-root", "forever")
	yes := true
	pod.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsNonRoot: &yes}
	n.create(t, pod)
	pod = n.await(t, "no-root", "CreateContainerConfigError", waitingFor("CreateContainerConfigError"))
	want := `container has runAsNonRoot and image will run as root (pod: "no-root_default(` + string(pod.UID) + `)", container: c)`
	if got := pod.Status.ContainerStatuses[0].State.Waiting.Message; got != want {
		t.Errorf("message = %q\nwant %q", got, want)
	}
}

func TestInitContainersAndSidecars(t *testing.T) {
	n := theNode(t)
	pod := n.box("staged", "cat=/shared/note", "forever")
	always := corev1.ContainerRestartPolicyAlways
	image := pod.Spec.Containers[0].Image
	shared := []corev1.VolumeMount{{Name: "shared", MountPath: "/shared"}}
	pod.Spec.Volumes = []corev1.Volume{{Name: "shared", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	pod.Spec.Containers[0].VolumeMounts = shared
	pod.Spec.InitContainers = []corev1.Container{
		{Name: "sidecar", Image: image, Args: []string{"on-term=bye", "forever"}, RestartPolicy: &always},
		{Name: "init", Image: image, Args: []string{"write=/shared/note:prepared"}, VolumeMounts: shared},
	}
	n.create(t, pod)
	pod = n.await(t, "staged", "Ready", isReady)
	n.awaitLog(t, "staged", "/shared/note: prepared <nil>\n")
	init := pod.Status.InitContainerStatuses
	if init[0].State.Running == nil || !init[0].Ready || init[1].State.Terminated == nil || !init[1].Ready {
		t.Errorf("init containers: %+v", init)
	}
}

func TestTheNodeIsRegistered(t *testing.T) {
	n := theNode(t)
	within(t, "the Node is Ready", func() bool {
		found, err := n.client.CoreV1().Nodes().Get(t.Context(), "node", metav1.GetOptions{})
		return err == nil && len(found.Status.Conditions) == 4
	})
	found, err := n.client.CoreV1().Nodes().Get(t.Context(), "node", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	info := found.Status.NodeInfo
	if !strings.HasPrefix(info.ContainerRuntimeVersion, "containerd://2.") || info.KubeletVersion != Version || info.OperatingSystem != "linux" {
		t.Errorf("node info = %+v", info)
	}
	if found.Labels[corev1.LabelHostname] != "node" || found.Spec.PodCIDR != podCIDR.String() || found.Status.Capacity.Pods().Value() != maxPods {
		t.Errorf("node = %+v", found)
	}
}
