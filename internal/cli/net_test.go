package cli_test

import (
	"encoding/json"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"coxswain.dev/cox/internal/diagnose"
)

// net runs cox net and keeps what it prints.
func (c *cluster) net(g *golden, args ...string) {
	c.t.Helper()
	args = append([]string{"net"}, args...)
	g.add("cox "+strings.Join(args, " "), c.run(strings.NewReader(""), args...))
}

func (c *cluster) service(name, ip, app string, target intstr.IntOrString) {
	c.t.Helper()
	_, err := c.CoreV1().Services("default").Create(c.t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.ServiceSpec{ClusterIP: ip, Selector: map[string]string{"app": app},
			Ports: []corev1.ServicePort{{Port: 80, TargetPort: target}}},
	}, metav1.CreateOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) pod(name, image, ip string) {
	c.t.Helper()
	pods := c.CoreV1().Pods("default")
	pod, err := pods.Create(c.t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: image, Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}}}}},
	}, metav1.CreateOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	c.eventually(name+" has an address", func() (bool, error) {
		if pod, err = pods.Get(c.t.Context(), name, metav1.GetOptions{}); err != nil {
			return false, err
		}
		if pod.Spec.NodeName == "" || pod.Status.Phase == corev1.PodPending && image != "broken" {
			return false, nil
		}
		pod.Status.PodIP, pod.Status.PodIPs = ip, []corev1.PodIP{{IP: ip}}
		_, err := pods.UpdateStatus(c.t.Context(), pod, metav1.UpdateOptions{})
		return err == nil, nil
	})
}

// firewall makes a Node tell about its machine's firewalls.
func (c *cluster) firewall(opened, closed []string) {
	c.t.Helper()
	nodes, err := c.CoreV1().Nodes().List(c.t.Context(), metav1.ListOptions{})
	if err != nil || len(nodes.Items) == 0 {
		c.t.Fatalf("%d nodes (%v)", len(nodes.Items), err)
	}
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"conditions": []any{diagnose.FirewallCondition(opened, closed, metav1.Now())}}})
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.CoreV1().Nodes().Patch(c.t.Context(), nodes.Items[0].Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
		c.t.Fatal(err)
	}
}

func TestNet(t *testing.T) {
	c := newCluster(t)
	g := newGolden(t, "net")
	c.net(g, "check", "-n", "default")
	c.pod("web", "web:v1", "10.244.0.2")
	c.pod("db", "broken", "10.244.0.3")
	c.service("web", "10.96.5.1", "web", intstr.FromString("http"))
	c.eventually("web has an endpoint", func() (bool, error) {
		return strings.Contains(c.run(nil, "net", "web"), "10.244.0.2:8080"), nil
	})
	c.net(g, "web")
	c.net(g, "check", "web")
	c.service("db", "10.96.5.2", "db", intstr.FromInt32(5432))
	c.service("typo", "10.96.5.3", "wbe", intstr.FromInt32(8080))
	c.eventually("db has an endpoint", func() (bool, error) {
		return strings.Contains(c.run(nil, "net", "db"), "10.244.0.3"), nil
	})
	c.net(g)
	c.net(g, "check")
	c.net(g, "check", "typo", "-o", "json")
	c.net(g, "wbe")
	c.firewall([]string{"Pods are let through in the firewall chain DOCKER-USER of table filter (Docker)"}, nil)
	c.net(g, "check", "web")
	c.firewall(nil, []string{"firewalld drops forwarded packets, and could not be told to trust Pods"})
	c.net(g, "check", "web")
	c.net(g, "check", "web", "-o", "json")
	c.net(g, "-o", "yaml")
	c.net(g, "-n", "elsewhere")
	g.compare()
}
