package apiserver_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestNodeProxyLeadsToTheAgent(t *testing.T) {
	server, _ := startWithPod(t, "here")
	for _, name := range []string{"here", "elsewhere"} {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if _, err := server.Client(t).CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	k := newKubectl(t, server)
	get := func(path string) []string { return []string{"get", "--raw", "/api/v1/nodes/" + path} }
	contains(t, k.must(get("here/proxy/connections?a=b")...), "/connections?a=b")
	contains(t, k.must(get("here/proxy/healthz")...), "/healthz?")
	contains(t, k.fails(get("elsewhere/proxy/connections")...), `no agent serves node "elsewhere"`)
	contains(t, k.fails(get("ghost/proxy/connections")...), `nodes "ghost" not found`)
	// Rights to Pods are not to be had by way of their node.
	for _, path := range []string{
		"", "exec/default/web/c", "x/../exec/default/web/c", "connections/../exec/default/web/c", "containerLogs/default/web/c", "portForward/default/web", "later",
	} {
		contains(t, k.fails(get("here/proxy/"+path)...), "forbidden", "pods/exec", "/healthz, /connections, /stats/summary are")
	}
}
