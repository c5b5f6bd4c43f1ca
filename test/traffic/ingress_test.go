package traffic

import (
	"strings"
	"testing"
	"time"

	"coxswain.dev/cox/test/harness"
)

const ingressOfAll = `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: http-go}
spec:
  rules:
  - http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: http-go, port: {number: 80}}}}]}
`

// startIngress starts an instance with the sample application behind an
// Ingress, and returns the ways into it.
func startIngress(t *testing.T, flags ...string) (*harness.Instance, []Way) {
	t.Helper()
	instance := harness.New(t, append([]string{"--registry-mirror=docker.io=http://127.0.0.1:5000"}, flags...)...)
	instance.ServeImages()
	instance.Up()
	instance.Kubectl("create", "-f", harness.Root()+"/examples/http-go/deployment.yaml")
	instance.Kubectl("scale", "deployment", "http-go", "--replicas=4")
	instance.Kubectl("expose", "deployment", "http-go", "--port=80", "--target-port=8080")
	instance.Apply(ingressOfAll)
	instance.Kubectl("rollout", "status", "deployment", "http-go", "--timeout=120s")
	instance.Kubectl("wait", "ingress/http-go", "--for=jsonpath={.status.loadBalancer.ingress[0].ip}", "--timeout=30s")
	address := instance.Kubectl("get", "ingress", "http-go", "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}") + ":80"
	awaitAnswer(t, instance, address)
	return instance, []Way{
		{Name: "Ingress, new connections", Address: address, PerSecond: rate},
		{Name: "Ingress, kept and idle", Address: address, Clients: 8, Pause: 700 * time.Millisecond},
		{Name: "Ingress, kept and busy", Address: address, Clients: 8, Pause: 10 * time.Millisecond},
		{Name: "Ingress, kept without a pause", Address: address, Clients: 2},
	}
}

// Nobody who comes by an Ingress notices that the Pods behind it change, though
// the program exits at once on SIGTERM: clients that keep their connection are
// no exception. The front ends with cox, which is why cox is not killed here.
func TestNoRequestThroughAnIngressFails(t *testing.T) {
	instance, ways := startIngress(t)
	orders := startPosts(instance.Namespace, strings.TrimSuffix(ways[0].Address, ":80")+":443", 8)
	finish := begin(t, instance, ways)
	phases := change(instance, *duration/2, false)
	reports := finish()
	answered, failures := orders.finish()
	t.Logf("%d changes\n%s%s%d POSTs over HTTP/2 and TLS answered, failed: %v", len(phases), table(reports), losses(reports, phases), answered, failures)
	if answered == 0 || len(failures) > 0 {
		t.Errorf("POSTs over HTTP/2: %d answered, failed: %v", answered, failures)
	}
	for _, r := range reports {
		if r.Failed() > 0 || r.Answers == 0 {
			t.Errorf("%s: %d failed of %d", r.Name, r.Failed(), r.Failed()+r.Answers)
		}
	}
}
