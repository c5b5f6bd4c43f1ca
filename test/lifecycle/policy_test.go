package lifecycle

import (
	"strings"
	"syscall"
	"testing"

	"coxswain.dev/cox/test/harness"
)

// curlCouldNotConnect is curl's exit code for a connection that was refused;
// one that is only lost ends with another, when the time is over.
const curlCouldNotConnect = 7

// Issue 4: NetworkPolicies are kept, for Pods that are new too, and while cox
// is down. Probes reach their Pods all the time.
func TestNetworkPoliciesAreKept(t *testing.T) {
	t.Parallel()
	instance := harness.New(t, "--registry-mirror=docker.io=http://127.0.0.1:5000")
	instance.ServeImages()
	instance.Up()
	instance.Kubectl("create", "-f", harness.Root()+"/examples/http-go/network-policies.yaml")
	instance.Kubectl("create", "-f", harness.Root()+"/examples/http-go/deployment.yaml")
	instance.Kubectl("run", "client", "--image=gasbugs/http-go:v1", "--labels=role=client")
	instance.Kubectl("run", "stranger", "--image=gasbugs/http-go:v1")
	instance.Kubectl("rollout", "status", "deployment", "http-go", "--timeout=120s")
	instance.Kubectl("wait", "--for=condition=Ready", "pod/client", "pod/stranger", "--timeout=120s")
	server := firstPodIP(t, pods(t, instance))
	client, stranger := networkOf(t, instance, "client"), networkOf(t, instance, "stranger")

	check := func(when string) {
		t.Helper()
		if got := fetchFrom(instance, client, server+":8080/"); !strings.HasPrefix(got.Stdout, "Welcome!") {
			t.Errorf("%s: what is allowed gives %q", when, got.Stdout+got.Stderr)
		}
		if got := fetchFrom(instance, stranger, server+":8080/"); got.Code != curlCouldNotConnect {
			t.Errorf("%s: what is not allowed gives %q", when, got.Stdout+got.Stderr)
		}
	}
	check("at first")
	// http-go is asked by its node, as a probe would.
	if got := instance.Shell("curl -sS -m 10 " + server + ":8080/lookup/kubernetes.default"); !strings.Contains(got.Stdout, "10.96.0.1") {
		t.Errorf("http-go may look names up, and gets %q", got.Stdout+got.Stderr)
	}
	if got := instance.Shell("curl -sS -m 10 " + server + ":8080/pods"); !strings.Contains(got.Stdout, "connection refused") {
		t.Errorf("http-go may not reach the API, and gets %q", got.Stdout+got.Stderr)
	}

	instance.Signal(syscall.SIGKILL)
	check("without cox")
	instance.Up()
	check("after a restart")

	instance.Kubectl("delete", "networkpolicy", "http-go")
	eventually(t, "everybody is let through without policies", func() bool { return fetchFrom(instance, stranger, server+":8080/").Code == 0 })
}

// networkOf leads to the network namespace of a Pod: by a process that is in
// the Pod's cgroup.
func networkOf(t *testing.T, instance *harness.Instance, pod string) string {
	t.Helper()
	uid := instance.Kubectl("get", "pod", pod, "-o", "jsonpath={.metadata.uid}")
	found := instance.Shell("grep -l " + uid + " /proc/[0-9]*/cgroup | head -n 1")
	process, _, isProcess := strings.Cut(strings.TrimPrefix(found.Stdout, "/proc/"), "/")
	if !isProcess {
		t.Fatalf("no process of Pod %s (%s): %q", pod, uid, found.Stdout+found.Stderr)
	}
	return "/proc/" + process + "/ns/net"
}

// fetchFrom fetches a page from inside a Pod's network, by this machine's
// curl: the Pod's image has nothing but its program.
func fetchFrom(instance *harness.Instance, network, url string) harness.Result {
	return instance.Shell("nsenter --net=" + network + " curl -sS -m 10 " + url)
}
