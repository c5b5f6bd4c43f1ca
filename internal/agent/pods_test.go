package agent

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"coxswain.dev/cox/internal/podlifecycle"
)

func serving() *corev1.Probe {
	return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Port: intstr.FromInt32(8080)}}, PeriodSeconds: 1, FailureThreshold: 1}
}

func TestAPodBecomesReadyByItsProbe(t *testing.T) {
	n := theNode(t)
	pod := n.box("ready", "print=hello", "serve=:8080")
	pod.Spec.Containers[0].ReadinessProbe = serving()
	pod.Spec.Containers[0].Image = n.registry + "/box:fresh"
	pod.Spec.Containers[0].ImagePullPolicy = corev1.PullAlways
	n.dropImage(t, n.registry+"/box:fresh")
	pod = n.create(t, pod)
	pod = n.await(t, "ready", "Ready", isReady)
	status := pod.Status.ContainerStatuses[0]
	if pod.Status.PodIP == "" || pod.Status.HostIP != "10.251.0.1" || pod.Status.Phase != corev1.PodRunning {
		t.Errorf("status = %+v", pod.Status)
	}
	if !strings.HasPrefix(status.ContainerID, "containerd://") || status.ImageID == "" || status.Started == nil || !*status.Started {
		t.Errorf("container status = %+v", status)
	}
	if got := n.logs(t, "ready", ""); got != "hello\n" {
		t.Errorf("log = %q", got)
	}
	n.awaitEvent(t, pod.UID, "Pulled", "Successfully pulled image")
	n.awaitEvent(t, pod.UID, "Created", "Container created")
	n.awaitEvent(t, pod.UID, "Started", "Container started")
}

// dropImage makes the engine forget an image.
func (n *node) dropImage(t testing.TB, image string) {
	t.Helper()
	if err := n.agent.store.RemoveImage(t.Context(), &runtimeapi.ImageSpec{Image: image}); err != nil {
		t.Fatal(err)
	}
}

func TestAPodIsUnreadyWhileItsProbeFails(t *testing.T) {
	n := theNode(t)
	pod := n.box("unready", "serve=:8080")
	pod.Spec.Containers[0].ReadinessProbe = serving()
	pod = n.create(t, pod)
	n.await(t, "unready", "Ready", isReady)
	n.exec(t, pod, "/box", "write=/tmp/ill:yes")
	n.await(t, "unready", "unready", func(p *corev1.Pod) bool { return !isReady(p) })
	n.awaitEvent(t, pod.UID, "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 500")
}

func TestALivenessProbeRestartsAContainer(t *testing.T) {
	n := theNode(t)
	pod := n.box("unwell", "serve=:8080")
	pod.Spec.Containers[0].LivenessProbe = serving()
	pod.Spec.Containers[0].StartupProbe = serving() // liveness counts from when it listens
	pod.Spec.Containers[0].StartupProbe.FailureThreshold = 30
	pod = n.create(t, pod)
	n.await(t, "unwell", "Ready", isReady)
	n.exec(t, pod, "/box", "write=/tmp/ill:yes")
	pod = n.await(t, "unwell", "restarted", func(p *corev1.Pod) bool { return p.Status.ContainerStatuses[0].RestartCount == 1 && isReady(p) })
	if last := pod.Status.ContainerStatuses[0].LastTerminationState.Terminated; last == nil {
		t.Error("nothing is told of the container before")
	}
	n.awaitEvent(t, pod.UID, "Killing", "Container c failed liveness probe, will be restarted")
}

func TestACrashLoop(t *testing.T) {
	n := theNode(t)
	pod := n.create(t, n.box("crash", "print=once", "write=/dev/termination-log:last words", "exit=3"))
	pod = n.await(t, "crash", "CrashLoopBackOff", waitingFor("CrashLoopBackOff"))
	status := pod.Status.ContainerStatuses[0]
	last := status.LastTerminationState.Terminated
	if status.RestartCount != 1 || last == nil || last.ExitCode != 3 || last.Reason != "Error" || last.Message != "last words" {
		t.Errorf("container status = %+v, before %+v", status, last)
	}
	want := "back-off 10s restarting failed container=c pod=crash_default(" + string(pod.UID) + ")"
	if status.State.Waiting.Message != want {
		t.Errorf("message = %q, want %q", status.State.Waiting.Message, want)
	}
	n.awaitEvent(t, pod.UID, "BackOff", "Back-off restarting failed container c in pod crash_default")
	if got := n.logs(t, "crash", "previous=true"); got != "once\n" {
		t.Errorf("previous log = %q", got)
	}
}

func TestAPodRunsToItsEnd(t *testing.T) {
	n := theNode(t)
	pod := n.box("job", "print=done")
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	n.create(t, pod)
	pod = n.await(t, "job", "Succeeded", inPhase(corev1.PodSucceeded))
	if state := pod.Status.ContainerStatuses[0].State.Terminated; state == nil || state.Reason != "Completed" {
		t.Errorf("state = %+v", pod.Status.ContainerStatuses[0].State)
	}
	if got := n.logs(t, "job", ""); got != "done\n" {
		t.Errorf("log = %q", got)
	}
}

func TestAMissingConfigMapIsWaitedFor(t *testing.T) {
	n := theNode(t)
	pod := n.box("config", "env=WORD", "forever")
	pod.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "WORD", ValueFrom: &corev1.EnvVarSource{
		ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "late"}, Key: "word"}}}}
	pod = n.create(t, pod)
	waiting := n.await(t, "config", "CreateContainerConfigError", waitingFor("CreateContainerConfigError"))
	if message := waiting.Status.ContainerStatuses[0].State.Waiting.Message; message != `configmap "late" not found` {
		t.Errorf("message = %q", message)
	}
	n.awaitEvent(t, pod.UID, "Failed", `Error: configmap "late" not found`)
	n.makeConfigMap(t, "late", map[string]string{"other": "x"})
	n.await(t, "config", "waiting for the key", func(p *corev1.Pod) bool {
		waiting := p.Status.ContainerStatuses[0].State.Waiting
		return waiting != nil && waiting.Message == "couldn't find key word in ConfigMap default/late"
	})
	n.changeConfigMap(t, "late", map[string]string{"word": "there"})
	n.await(t, "config", "Ready", isReady)
	n.awaitLog(t, "config", "WORD=there\n")
}

func TestAnImageThatDoesNotExist(t *testing.T) {
	n := theNode(t)
	pod := n.box("bad-image", "forever")
	pod.Spec.Containers[0].Image = n.registry + "/none:v1"
	pod = n.create(t, pod)
	n.await(t, "bad-image", "ErrImagePull", waitingFor("ErrImagePull"))
	waiting := n.await(t, "bad-image", "ImagePullBackOff", waitingFor("ImagePullBackOff"))
	if message := waiting.Status.ContainerStatuses[0].State.Waiting.Message; !strings.HasPrefix(message, `Back-off pulling image "`+n.registry+`/none:v1": ErrImagePull: `) {
		t.Errorf("message = %q", message)
	}
	n.awaitEvent(t, pod.UID, "Failed", "Failed to pull image")
	n.awaitEvent(t, pod.UID, "Failed", "Error: ErrImagePull")
	n.awaitEvent(t, pod.UID, "BackOff", "Back-off pulling image")
}

func TestACommandThatDoesNotExist(t *testing.T) {
	n := theNode(t)
	pod := n.box("bad-command")
	pod.Spec.Containers[0].Command = []string{"/nope"}
	pod = n.create(t, pod)
	pod = n.await(t, "bad-command", "RunContainerError", waitingFor("RunContainerError"))
	if last := pod.Status.ContainerStatuses[0].LastTerminationState.Terminated; last == nil || last.Reason != "StartError" || last.ExitCode != 128 {
		t.Errorf("before: %+v", last)
	}
	n.await(t, "bad-command", "CrashLoopBackOff", waitingFor("CrashLoopBackOff"))
}

func TestAContainerThatEatsTooMuch(t *testing.T) {
	n := theNode(t)
	pod := n.box("greedy", "eat=200", "forever")
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	pod.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: mib(64)}
	n.create(t, pod)
	pod = n.await(t, "greedy", "Failed", inPhase(corev1.PodFailed))
	if state := pod.Status.ContainerStatuses[0].State.Terminated; state.Reason != "OOMKilled" || state.ExitCode != 137 {
		t.Errorf("state = %+v", state)
	}
}

func TestAPodOfAServiceIsRoutedBeforeItIsAvailable(t *testing.T) {
	n := theNode(t)
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "led"}, Spec: corev1.ServiceSpec{
		Selector: map[string]string{"led": "yes"}, Ports: []corev1.ServicePort{{Port: 80}},
	}}
	services := n.client.CoreV1().Services("default")
	if _, err := services.Create(t.Context(), service, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { services.Delete(context.Background(), "led", metav1.DeleteOptions{}) })
	within(t, "the agent knows the Service", func() bool { _, err := n.agent.services.Services("default").Get("led"); return err == nil })
	route := make(chan struct{})
	n.router.mu.Lock()
	n.router.route = route
	n.router.mu.Unlock()
	pod := n.box("led", "forever")
	pod.Labels = map[string]string{"led": "yes"}
	n.create(t, pod)
	pod = n.await(t, "led", "Ready and not routed", func(pod *corev1.Pod) bool {
		return isReady(pod) && routedStatus(pod) == corev1.ConditionFalse
	})
	asked := question{"routed default/led", netip.MustParseAddr(pod.Status.PodIP)}
	within(t, "the router is asked", func() bool { return n.router.wasAsked(asked) })
	n.router.mu.Lock()
	n.router.route = nil
	n.router.mu.Unlock()
	close(route)
	n.await(t, "led", "routed", func(pod *corev1.Pod) bool { return routedStatus(pod) == corev1.ConditionTrue })
	if err := services.Delete(t.Context(), "led", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	n.await(t, "led", "no condition when no Service leads to it", func(pod *corev1.Pod) bool { return routedStatus(pod) == "" })
	n.remove(t, "led", 0)
}

func TestAPodIsAvailableWhenTheRouterDoesNotAnswer(t *testing.T) {
	n := theNode(t)
	services := n.client.CoreV1().Services("default")
	if _, err := services.Create(t.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "astray"}, Spec: corev1.ServiceSpec{
		Selector: map[string]string{"astray": "yes"}, Ports: []corev1.ServicePort{{Port: 80}},
	}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { services.Delete(context.Background(), "astray", metav1.DeleteOptions{}) })
	within(t, "the agent knows the Service", func() bool { _, err := n.agent.services.Services("default").Get("astray"); return err == nil })
	n.router.mu.Lock()
	n.router.route = make(chan struct{})
	n.router.mu.Unlock()
	t.Cleanup(func() { n.router.mu.Lock(); n.router.route = nil; n.router.mu.Unlock() })
	pod := n.box("astray", "forever")
	pod.Labels = map[string]string{"astray": "yes"}
	pod = n.create(t, pod)
	n.await(t, "astray", "not known to be routed", func(pod *corev1.Pod) bool { return routedStatus(pod) == corev1.ConditionUnknown })
	n.awaitEvent(t, pod.UID, "NotRouted", "not every Service leads to the Pod in time: default/astray")
	n.remove(t, "astray", 0)
}

// routedStatus is that of the condition, empty without one.
func routedStatus(pod *corev1.Pod) corev1.ConditionStatus {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == podlifecycle.RoutedCondition {
			return condition.Status
		}
	}
	return ""
}

func TestAContainerStartsWhenPoliciesAreDecidedAbout(t *testing.T) {
	n := theNode(t)
	judge := make(chan struct{})
	n.router.mu.Lock()
	n.router.judge = judge
	n.router.mu.Unlock()
	n.create(t, n.box("judged", "forever"))
	pod := n.await(t, "judged", "an address", func(pod *corev1.Pod) bool { return pod.Status.PodIP != "" })
	asked := question{"judged", netip.MustParseAddr(pod.Status.PodIP)}
	within(t, "the guard is asked", func() bool { return n.router.wasAsked(asked) })
	now, err := n.client.CoreV1().Pods("default").Get(t.Context(), "judged", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	n.router.mu.Lock()
	inTime := time.Since(n.router.asked[asked]) < guardLimit
	n.router.judge = nil
	n.router.mu.Unlock()
	if running := now.Status.ContainerStatuses[0].State.Running; running != nil && inTime {
		t.Errorf("the container runs since %v, before the guard has answered", running.StartedAt)
	}
	close(judge)
	n.await(t, "judged", "Ready", isReady)
	n.remove(t, "judged", 0)
}

func TestADeletedPodIsUnroutedFirst(t *testing.T) {
	n := theNode(t)
	pod := n.box("graceful", "on-term=bye", "forever")
	grace := int64(20)
	pod.Spec.TerminationGracePeriodSeconds = &grace
	pod = n.create(t, pod)
	pod = n.await(t, "graceful", "Ready", isReady)
	hold, drain := make(chan struct{}), make(chan struct{})
	n.router.mu.Lock()
	n.router.hold, n.router.drain = hold, drain
	n.router.mu.Unlock()
	if err := n.client.CoreV1().Pods("default").Delete(t.Context(), "graceful", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	ip := netip.MustParseAddr(pod.Status.PodIP)
	within(t, "the router is asked", func() bool { return n.router.wasAsked(question{"unrouted ", ip}) })
	if n.router.wasAsked(question{"drained", ip}) {
		t.Error("connections are waited for while new ones may come")
	}
	close(hold)
	within(t, "the router is asked for connections", func() bool { return n.router.wasAsked(question{"drained", ip}) })
	if w := n.agent.workerOf(pod.UID); w == nil || w.runningContainer("c") == nil {
		t.Error("the container does not run any more, before its Service has let go of it")
	}
	if got := n.logs(t, "graceful", ""); got != "" {
		t.Errorf("log = %q before the router has answered", got)
	}
	n.router.mu.Lock()
	n.router.hold, n.router.drain = nil, nil
	n.router.mu.Unlock()
	began := time.Now()
	close(drain)
	n.awaitGone(t, pod.UID)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v to go although the program ends at once", took)
	}
	n.awaitEvent(t, pod.UID, "Killing", "Stopping container c")
}

// The router is told which Services may lead to the Pod: the headless ones too,
// if it has ever been ready, and of others those that do not ask for that.
func TestTheRouterIsToldWhichServicesListThePod(t *testing.T) {
	n := theNode(t)
	services := n.client.CoreV1().Services("default")
	for _, service := range []corev1.Service{
		{ObjectMeta: metav1.ObjectMeta{Name: "listed"}, Spec: corev1.ServiceSpec{Selector: map[string]string{"listed": "yes"}}},
		{ObjectMeta: metav1.ObjectMeta{Name: "listed-headless"}, Spec: corev1.ServiceSpec{Selector: map[string]string{"listed": "yes"}, ClusterIP: corev1.ClusterIPNone}},
		{ObjectMeta: metav1.ObjectMeta{Name: "listed-early"}, Spec: corev1.ServiceSpec{Selector: map[string]string{"listed": "yes"}, PublishNotReadyAddresses: true}},
		{ObjectMeta: metav1.ObjectMeta{Name: "others"}, Spec: corev1.ServiceSpec{Selector: map[string]string{"listed": "no"}}},
	} {
		service.Spec.Ports = []corev1.ServicePort{{Port: 80}}
		if _, err := services.Create(t.Context(), &service, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { services.Delete(context.Background(), service.Name, metav1.DeleteOptions{}) })
		within(t, "the agent knows the Service", func() bool {
			_, err := n.agent.services.Services("default").Get(service.Name)
			return err == nil
		})
	}
	for name, want := range map[string]string{
		"been-ready":  "default/listed,default/listed-early,default/listed-headless",
		"never-ready": "default/listed-early",
	} {
		pod := n.box(name, "on-term=bye", "forever")
		pod.Labels = map[string]string{"listed": "yes"}
		if name == "never-ready" {
			pod.Spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: "example.com/never"}}
		}
		n.create(t, pod)
		pod = n.await(t, name, "running", func(pod *corev1.Pod) bool {
			return pod.Status.Phase == corev1.PodRunning && isReady(pod) == (name == "been-ready")
		})
		n.remove(t, name, 30)
		if asked := (question{"unrouted " + want, netip.MustParseAddr(pod.Status.PodIP)}); !n.router.wasAsked(asked) {
			t.Errorf("%s: the router was not asked %v, but %v", name, asked, n.router.asked)
		}
	}
}

func TestARouterThatDoesNotAnswerIsNotWaitedForLong(t *testing.T) {
	n := theNode(t)
	n.create(t, n.box("unanswered", "on-term=bye", "forever"))
	n.await(t, "unanswered", "Ready", isReady)
	n.router.mu.Lock()
	n.router.hold = make(chan struct{})
	n.router.mu.Unlock()
	t.Cleanup(func() { n.router.mu.Lock(); n.router.hold = nil; n.router.mu.Unlock() })
	began := time.Now()
	n.remove(t, "unanswered", 30)
	if took := time.Since(began); took < unrouteLimit || took > 15*time.Second {
		t.Errorf("gone after %v, want a little more than %v", took, unrouteLimit)
	}
}

func TestAPreStopHookRunsBeforeTheSignal(t *testing.T) {
	n := theNode(t)
	pod := n.box("hooked", "on-term=term", "follow=/tmp/note", "forever")
	pod.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{
		PostStart: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"/box", "write=/tmp/note:started"}}},
		PreStop:   &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"/box", "write=/tmp/note:stopping", "sleep=100ms"}}},
	}
	grace := int64(20)
	pod.Spec.TerminationGracePeriodSeconds = &grace
	n.create(t, pod)
	n.await(t, "hooked", "Ready", isReady)
	n.awaitLog(t, "hooked", "started\n")
	text := n.follow(t, "hooked")
	if err := n.client.CoreV1().Pods("default").Delete(t.Context(), "hooked", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := <-text; got != "started\nstopping\nterm\n" {
		t.Errorf("log = %q", got)
	}
}
