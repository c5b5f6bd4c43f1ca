package proxy

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"coxswain.dev/cox/internal/network/networktest"
)

// apiPod makes a Pod of the network known to the API.
func (c *cluster) apiPod(pod *networktest.Pod, labels ...string) {
	c.t.Helper()
	object := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: pod.Name, Labels: map[string]string{"name": pod.Name}},
		Spec:       corev1.PodSpec{NodeName: "node", Containers: []corev1.Container{{Name: "c", Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: 8080}}}}},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIP: pod.Addr.String()},
	}
	for _, label := range labels {
		key, value, _ := strings.Cut(label, "=")
		object.Labels[key] = value
	}
	if _, err := c.client.CoreV1().Pods("default").Create(context.Background(), object, metav1.CreateOptions{}); err != nil {
		c.t.Fatal(err)
	}
}

// policy stores a NetworkPolicy with a spec in YAML.
func (c *cluster) policy(name, spec string) {
	c.t.Helper()
	policy := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	if err := yaml.UnmarshalStrict([]byte(spec), &policy.Spec); err != nil {
		c.t.Fatal(err)
	}
	policies := c.client.NetworkingV1().NetworkPolicies("default")
	_, err := policies.Create(context.Background(), policy, metav1.CreateOptions{})
	if err != nil {
		_, err = policies.Update(context.Background(), policy, metav1.UpdateOptions{})
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// await waits until a connection is let through, or is not.
func (c *cluster) await(dial dialer, network, address string, through bool) {
	c.t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for {
		name, _, err := ask(dial, network, address)
		if (err == nil) == through {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("%s %s: %q answered, and %v, want it let through: %t", network, address, name, err, through)
		}
	}
}

func TestPoliciesBetweenPods(t *testing.T) {
	c := startCluster(t)
	web, friend, stranger := c.NewPod(t, "web"), c.NewPod(t, "friend"), c.NewPod(t, "stranger")
	for _, pod := range []*networktest.Pod{web, friend, stranger} {
		pod.ServeNames(t, 8080)
		pod.ServeNames(t, 9090)
		c.apiPod(pod)
	}
	c.service("web", "10.96.0.20")
	c.endpoints("web", web)
	c.awaitOffered(web.Addr)
	direct, other := netip.AddrPortFrom(web.Addr, 8080).String(), netip.AddrPortFrom(web.Addr, 9090).String()
	const service = "10.96.0.20:80"

	t.Log("nobody but friend gets to web, and only to its port web")
	c.policy("web", `{podSelector: {matchLabels: {name: web}}, ingress: [{from: [{podSelector: {matchLabels: {name: friend}}}], ports: [{port: web}]}]}`)
	for _, address := range []string{direct, service} {
		c.await(stranger.Dial, "tcp", address, false)
		mustAsk(t, friend.Dial, "tcp", address)
	}
	c.await(friend.Dial, "tcp", other, false)
	c.await(friend.Dial, "udp", direct, false)
	mustAsk(t, fromHost, "tcp", direct) // a probe
	mustAsk(t, web.Dial, "tcp", netip.AddrPortFrom(stranger.Addr, 8080).String())
	mustAsk(t, web.Dial, "tcp", service) // itself

	t.Log("a refusal is told at once")
	began := time.Now()
	if _, _, err := ask(stranger.Dial, "tcp", direct); err == nil || !strings.Contains(err.Error(), "refused") || time.Since(began) > time.Second {
		t.Errorf("after %v: %v, want a refusal at once", time.Since(began), err)
	}

	t.Log("friend may not connect to anybody but stranger")
	c.policy("friend", `{podSelector: {matchLabels: {name: friend}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {name: stranger}}}]}]}`)
	c.await(friend.Dial, "tcp", direct, false)
	mustAsk(t, friend.Dial, "tcp", netip.AddrPortFrom(stranger.Addr, 9090).String())
	mustAsk(t, stranger.Dial, "tcp", netip.AddrPortFrom(friend.Addr, 8080).String())

	t.Log("the rules outlive the proxy, and are those of now when it is back")
	c.stop()
	if _, _, err := ask(stranger.Dial, "tcp", direct); err == nil {
		t.Error("stranger gets to web while no proxy runs")
	}
	c.policy("web", `{podSelector: {matchLabels: {name: web}}, ingress: [{from: [{ipBlock: {cidr: `+stranger.Addr.String()+`/32}}]}]}`)
	c.start()
	c.await(stranger.Dial, "tcp", other, true)

	t.Log("without policies everything is open again")
	for _, name := range []string{"web", "friend"} {
		if err := c.client.NetworkingV1().NetworkPolicies("default").Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	c.await(friend.Dial, "tcp", direct, true)
}

// A Pod that nobody has decided about yet is not open because of that.
func TestAPodIsNotOpenBecauseItIsNew(t *testing.T) {
	c := startCluster(t)
	web, client := c.NewPod(t, "web"), c.NewPod(t, "client")
	web.ServeNames(t, 8080)
	c.apiPod(client)
	c.policy("other", `{podSelector: {matchLabels: {name: nobody}}}`)
	address := netip.AddrPortFrom(web.Addr, 8080).String()
	c.await(client.Dial, "tcp", address, false)
	if done, _ := c.proxy.judgements.has(web.Addr); done {
		t.Error("a Pod that the API does not know yet is said to be decided about")
	}
	c.apiPod(web)
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	if err := c.proxy.Judged(ctx, web.Addr); err != nil {
		t.Fatal(err)
	}
	mustAsk(t, client.Dial, "tcp", address)
}

func TestPoliciesOfBlocksAndPorts(t *testing.T) {
	c := startCluster(t)
	web, friend, stranger := c.NewPod(t, "web"), c.NewPod(t, "friend"), c.NewPod(t, "stranger")
	for _, pod := range []*networktest.Pod{web, friend, stranger} {
		c.apiPod(pod)
	}
	web.ServeNames(t, 8080)
	web.ServeNames(t, 9090)
	at := func(port uint16) string { return netip.AddrPortFrom(web.Addr, port).String() }

	t.Log("everybody but stranger, from port 9000 to 9100, by UDP")
	c.policy("web", `{podSelector: {matchLabels: {name: web}}, ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0, except: [`+stranger.Addr.String()+`/32]}}],
  ports: [{protocol: UDP, port: 9000, endPort: 9100}]}]}`)
	c.await(stranger.Dial, "udp", at(9090), false)
	mustAsk(t, friend.Dial, "udp", at(9090))
	for _, refused := range []struct{ network, address string }{{"tcp", at(9090)}, {"udp", at(8080)}} {
		if name, _, err := ask(friend.Dial, refused.network, refused.address); err == nil {
			t.Errorf("%s %s: %s answered", refused.network, refused.address, name)
		}
	}

	t.Log("everybody, at any port of TCP")
	c.policy("web", `{podSelector: {matchLabels: {name: web}}, ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}], ports: [{protocol: TCP}]}]}`)
	c.await(stranger.Dial, "tcp", at(8080), true)
	mustAsk(t, friend.Dial, "tcp", at(9090))
	if name, _, err := ask(friend.Dial, "udp", at(9090)); err == nil {
		t.Errorf("%s answered by UDP", name)
	}
}

// A connection by a Service is judged by the Pod and the port that it is led
// to, and one that stood before a policy came goes on.
func TestPoliciesJudgeNewConnectionsByWhereTheyAreLed(t *testing.T) {
	c := startCluster(t)
	web, client := c.NewPod(t, "web"), c.NewPod(t, "client")
	echo(t, web, "8080")
	c.apiPod(web)
	c.apiPod(client)
	service := net.JoinHostPort(c.service("web", "10.96.0.20").Spec.ClusterIP, "80")
	c.endpoints("web", web)
	c.awaitOffered(web.Addr)
	const egress = `{podSelector: {matchLabels: {name: client}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {name: web}}}], ports: [{port: %d}]}]}`

	before, err := client.Dial("tcp", service)
	if err != nil {
		t.Fatal(err)
	}
	talking := talk(t, before)
	t.Log("the port of the Service is not the Pod's")
	c.policy("client", fmt.Sprintf(egress, 80))
	c.awaitOpens(client, service, false)
	t.Log("the port of the Pod is")
	c.policy("client", fmt.Sprintf(egress, 8080))
	c.awaitOpens(client, service, true)
	c.policy("web", `{podSelector: {matchLabels: {name: web}}, ingress: []}`)
	c.awaitOpens(client, service, false)
	talking() // says so if it broke meanwhile
}

// awaitOpens waits until a connection can be made, or not.
func (c *cluster) awaitOpens(from *networktest.Pod, address string, want bool) {
	c.t.Helper()
	for deadline := time.Now().Add(15 * time.Second); ; {
		conn, err := from.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		if (err == nil) == want {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("%s: %v, want it to open: %t", address, err, want)
		}
	}
}

// A table that somebody has flushed is never without the policies again.
func TestPoliciesAreInEveryTable(t *testing.T) {
	c := startCluster(t)
	web, client := c.NewPod(t, "web"), c.NewPod(t, "client")
	web.ServeNames(t, 8080)
	c.apiPod(web)
	c.apiPod(client)
	c.policy("none", `{podSelector: {matchLabels: {name: web}}}`)
	address := netip.AddrPortFrom(web.Addr, 8080).String()
	c.await(client.Dial, "tcp", address, false)
	c.proxy.signalDisturbed()
	for range 200 {
		if name, _, err := ask(client.Dial, "tcp", address); err == nil {
			t.Fatalf("%s answered", name)
		}
	}
}

// BenchmarkPolicies connects to a Pod that one of so many policies selects.
func BenchmarkPolicies(b *testing.B) {
	var without time.Duration
	for _, count := range []int{0, 1, 1000} {
		b.Run(fmt.Sprintf("policies=%d", count), func(b *testing.B) {
			c := startCluster(b)
			web, client := c.NewPod(b, "web"), c.NewPod(b, "client")
			web.ServeNames(b, 8080)
			c.apiPod(web)
			c.apiPod(client)
			address := netip.AddrPortFrom(web.Addr, 8080).String()
			for i := range count {
				c.policy(fmt.Sprintf("policy-%d", i), fmt.Sprintf(`{podSelector: {matchLabels: {name: pod-%d}}, ingress: [{ports: [{port: 8080}]}]}`, i))
			}
			if count > 0 {
				c.policy("web", `{podSelector: {matchLabels: {name: web}}}`)
				c.await(client.Dial, "tcp", address, false)
				c.policy("web", `{podSelector: {matchLabels: {name: web}}, ingress: [{from: [{podSelector: {matchLabels: {name: client}}}], ports: [{port: 8080}]}]}`)
				c.await(client.Dial, "tcp", address, true)
			}
			b.ResetTimer()
			for range b.N {
				mustAsk(b, client.Dial, "tcp", address)
			}
			each := b.Elapsed() / time.Duration(b.N)
			if count == 0 {
				without = each
			}
			if without > 0 {
				b.ReportMetric(float64(each)/float64(without), "times-without")
			}
		})
	}
}
