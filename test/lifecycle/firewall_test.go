package lifecycle

import (
	"strings"
	"testing"

	"coxswain.dev/cox/test/harness"
)

// closedMachine is what Docker makes, on a machine that lets nobody in.
const closedMachine = `table ip filter {
	chain DOCKER-USER { counter return; }
	chain FORWARD { type filter hook forward priority filter; policy drop; counter jump DOCKER-USER; }
	chain INPUT { type filter hook input priority filter; policy drop; iifname "lo" accept; ct state established,related accept; }
}`

// shell runs a command in the instance's network and fails the test with it.
func shell(t *testing.T, instance *harness.Instance, script string) string {
	t.Helper()
	result := instance.Shell(script)
	if result.Code != 0 {
		t.Fatalf("%s: exit code %d\n%s%s", script, result.Code, result.Stdout, result.Stderr)
	}
	return strings.TrimSpace(result.Stdout)
}

// A machine whose firewall drops what it does not know, and a pool of addresses
// for load balancers: everything answers, the rule of ours comes back when
// somebody flushes it, and goes with the Pods.
func TestPodsAnswerBehindAnotherFirewall(t *testing.T) {
	t.Parallel()
	instance := harness.New(t, "--registry-mirror=docker.io=http://127.0.0.1:5000", "--load-balancer-pool=192.0.2.40-192.0.2.41")
	shell(t, instance, "nft -f - <<'EOF'\n"+closedMachine+"\nEOF")
	instance.ServeImages()
	instance.Up()
	instance.Kubectl("create", "-f", harness.Root()+"/examples/http-go/deployment.yaml")
	instance.Kubectl("rollout", "status", "deployment", "http-go", "--timeout=120s")
	instance.Apply(`{"apiVersion":"v1","kind":"Service","metadata":{"name":"balanced"},"spec":{"type":"LoadBalancer","externalTrafficPolicy":"Local",
		"selector":{"app":"http-go"},"ports":[{"port":80,"targetPort":8080}]}}`)
	field := func(path string) string {
		return instance.Kubectl("get", "service", "balanced", "-o", "jsonpath={"+path+"}")
	}
	eventually(t, "the load balancer has an address", func() bool { return field(".status.loadBalancer.ingress[0].ip") == "192.0.2.40" })
	for _, address := range []string{"192.0.2.40", field(".spec.clusterIP"), "127.0.0.1:" + field(".spec.ports[0].nodePort"), "localhost:" + field(".spec.ports[0].nodePort")} {
		eventually(t, address+" answers", func() bool {
			return strings.Contains(instance.Shell("curl -sm2 http://"+address).Stdout, "Welcome")
		})
	}
	// From inside of a Pod: the API, another Pod, and its own Service.
	for name, pod := range pods(t, instance) {
		network := networkOf(t, instance, name)
		if got := fetchFrom(instance, network, "-k https://10.96.0.1/version"); !strings.Contains(got.Stdout, "gitVersion") {
			t.Errorf("the API at its Service's address says %q to Pod %s", got.Stdout+got.Stderr, name)
		}
		for _, address := range []string{firstPodIP(t, pods(t, instance)) + ":8080", pod.Status.PodIP + ":8080", field(".spec.clusterIP"), "192.0.2.40"} {
			if got := fetchFrom(instance, network, "http://"+address); !strings.HasPrefix(got.Stdout, "Welcome!") {
				t.Errorf("%s says %q to Pod %s", address, got.Stdout+got.Stderr, name)
			}
		}
		break
	}
	health := shell(t, instance, "curl -s http://127.0.0.1:"+field(".spec.healthCheckNodePort"))
	if !strings.Contains(health, `"name": "balanced"`) || !strings.Contains(health, `"localEndpoints": `) || strings.Contains(health, `"localEndpoints": 0`) {
		t.Errorf("the health check port says %s", health)
	}

	const ours = `comment "coxswain: from Pods 10.244.0.0/16"`
	list := func() string { return shell(t, instance, "nft list ruleset") }
	if said := shell(t, instance, "cox net check"); !strings.Contains(said, "Pods are let through in the firewall chain DOCKER-USER of table filter (Docker)") {
		t.Errorf("cox net check says nothing about the firewall: %s", said)
	}
	shell(t, instance, "nft flush chain ip filter DOCKER-USER")
	eventually(t, "the rule is back", func() bool { return strings.Contains(list(), ours) })

	instance.Cox("down")
	if !strings.Contains(list(), ours) {
		t.Error("cox down has taken the way from containers that go on")
	}
	instance.Cox("down", "--pods")
	if left := list(); strings.Contains(left, "coxswain: ") || !strings.Contains(left, "jump DOCKER-USER") {
		t.Errorf("after cox down --pods:\n%s", left)
	}
}
