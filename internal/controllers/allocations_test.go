package controllers_test

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"coxswain.dev/cox/internal/apiserver/apitest"
	"coxswain.dev/cox/internal/controllers"
)

// copyInStore makes a second object beside a stored one, behind the API's back:
// old texts of it become new ones of the same length.
func copyInStore(t *testing.T, server *apitest.Server, key, newKey string, texts map[string]string) {
	t.Helper()
	store, err := clientv3.New(clientv3.Config{Endpoints: []string{server.StoreEndpoint}, DialTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	found, err := store.Get(t.Context(), key)
	if err != nil || len(found.Kvs) != 1 {
		t.Fatalf("%s: %d found (%v)", key, len(found.Kvs), err)
	}
	value := found.Kvs[0].Value
	for old, text := range texts {
		if len(old) != len(text) || !bytes.Contains(value, []byte(old)) {
			t.Fatalf("%q cannot become %q", old, text)
		}
		value = bytes.ReplaceAll(value, []byte(old), []byte(text))
	}
	if _, err := store.Put(t.Context(), newKey, string(value)); err != nil {
		t.Fatal(err)
	}
}

// What the API server would never give like this is told.
func TestWrongAllocationsAreTold(t *testing.T) {
	server := apitest.Start(t)
	client := server.Client(t)
	services := client.CoreV1().Services("default")
	first, err := services.Create(t.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "web-1"}, Spec: corev1.ServiceSpec{
		Type: corev1.ServiceTypeNodePort, ClusterIP: "10.96.7.7", Ports: []corev1.ServicePort{{Port: 80, NodePort: 30777}}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	const at = "/registry/services/specs/default/"
	uid := string(first.UID)
	copyInStore(t, server, at+"web-1", at+"web-2", map[string]string{"web-1": "web-2", uid: uid[:len(uid)-3] + "xyz"})
	copyInStore(t, server, at+"web-1", at+"web-3", map[string]string{"web-1": "web-3", uid: uid[:len(uid)-3] + "uvw", "10.96.7.7": "10.32.7.7"})

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- controllers.Run(ctx, controllers.Config{Client: server.Admin(), ClusterCA: server.CA(), ServiceCIDR: netip.MustParsePrefix("10.96.0.0/12")})
	}()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	tells := func(name string, want ...string) {
		t.Helper()
		eventually(t, func() error {
			events, err := client.CoreV1().Events("default").List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.kind=Service,involvedObject.name=" + name})
			if err != nil {
				return err
			}
			var got []string
			for _, event := range events.Items {
				got = append(got, fmt.Sprintf("%s %s %s: %s", event.Source.Component, event.Type, event.Reason, event.Message))
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				return fmt.Errorf("%s: %q, want %q", name, got, want)
			}
			return nil
		})
	}
	const port = "portallocator-repair-controller Warning PortAlreadyAllocated: Port 30777 was assigned to multiple services; please recreate service"
	tells("web-2", "ipallocator-repair-controller Warning ClusterIPAlreadyAllocated: Cluster IP [IPv4]:10.96.7.7 was assigned to multiple services; please recreate service", port)
	tells("web-3", "ipallocator-repair-controller Warning ClusterIPOutOfRange: Cluster IP [IPv4]: 10.32.7.7 is not within any configured Service CIDR; please recreate service", port)
	tells("web-1") // it was the first, and keeps both
}

// A Service that becomes another type gives up what that has not, at once.
func TestTypesOfAServiceGiveUpWhatTheyHad(t *testing.T) {
	client := apitest.Start(t).Client(t)
	services := client.CoreV1().Services("default")
	make := func(name string, change func(*corev1.ServiceSpec)) error {
		service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}
		change(&service.Spec)
		_, err := services.Create(t.Context(), service, metav1.CreateOptions{})
		return err
	}
	become := func(patch string) corev1.ServiceSpec {
		t.Helper()
		service, err := services.Patch(t.Context(), "web", "application/merge-patch+json", []byte(`{"spec":`+patch+`}`), metav1.PatchOptions{})
		if err != nil {
			t.Fatalf("%s: %v", patch, err)
		}
		return service.Spec
	}
	ported := func(port int32) func(*corev1.ServiceSpec) {
		return func(s *corev1.ServiceSpec) { s.Type, s.Ports[0].NodePort = corev1.ServiceTypeNodePort, port }
	}
	addressed := func(addr string) func(*corev1.ServiceSpec) { return func(s *corev1.ServiceSpec) { s.ClusterIP = addr } }

	if err := make("web", addressed("10.96.9.9")); err != nil {
		t.Fatal(err)
	}
	if spec := become(`{"type":"LoadBalancer","externalTrafficPolicy":"Local","healthCheckNodePort":30902,"ports":[{"port":80,"nodePort":30901}]}`); spec.ClusterIP != "10.96.9.9" || spec.HealthCheckNodePort != 30902 {
		t.Errorf("as a load balancer it has %s and %d", spec.ClusterIP, spec.HealthCheckNodePort)
	}
	for what, refused := range map[string]error{"its node port": make("other", ported(30901)), "its health check port": make("other", ported(30902)), "its address": make("other", addressed("10.96.9.9"))} {
		if refused == nil {
			t.Fatalf("another Service got %s", what)
		}
	}
	if spec := become(`{"type":"NodePort"}`); spec.HealthCheckNodePort != 0 || spec.Ports[0].NodePort != 30901 {
		t.Errorf("as a node port it has %d and %d", spec.HealthCheckNodePort, spec.Ports[0].NodePort)
	}
	if err := make("health", ported(30902)); err != nil {
		t.Errorf("the health check port is not free: %v", err)
	}
	if spec := become(`{"type":"ClusterIP"}`); spec.Ports[0].NodePort != 0 || spec.ClusterIP != "10.96.9.9" || spec.ExternalTrafficPolicy != "" {
		t.Errorf("as a cluster address it has %d, %s, %q", spec.Ports[0].NodePort, spec.ClusterIP, spec.ExternalTrafficPolicy)
	}
	if err := make("port", ported(30901)); err != nil {
		t.Errorf("the node port is not free: %v", err)
	}
	if spec := become(`{"type":"ExternalName","externalName":"example.com","clusterIP":null,"clusterIPs":null}`); spec.ClusterIP != "" || len(spec.IPFamilies) > 0 {
		t.Errorf("as a name it has %q and %v", spec.ClusterIP, spec.IPFamilies)
	}
	if err := make("address", addressed("10.96.9.9")); err != nil {
		t.Errorf("the address is not free: %v", err)
	}
	if spec := become(`{"type":"NodePort","externalName":null}`); spec.ClusterIP == "" || spec.ClusterIP == "10.96.9.9" || spec.Ports[0].NodePort == 0 {
		t.Errorf("as a node port again it has %q and %d", spec.ClusterIP, spec.Ports[0].NodePort)
	}
}

// A named target port is another number in another Pod: each gets a slice.
func TestNamedTargetPortsFollowEachPod(t *testing.T) {
	client := withControllers(t, nil)
	if _, err := client.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	ready := func(name, ip string, port int32) {
		t.Helper()
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": "web"}}, Spec: corev1.PodSpec{
			NodeName: "node", Containers: []corev1.Container{{Name: "c", Image: "i", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: port}}}}}}
		made, err := client.CoreV1().Pods("default").Create(t.Context(), pod, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		made.Status = corev1.PodStatus{Phase: corev1.PodRunning, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}}, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}
		if _, err := client.CoreV1().Pods("default").UpdateStatus(t.Context(), made, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	ready("old", "10.244.0.5", 8080)
	ready("new", "10.244.0.6", 9090)
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: corev1.ServiceSpec{
		Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{{Name: "web", Port: 80, TargetPort: intstr.FromString("http")}}}}
	if _, err := client.CoreV1().Services("default").Create(t.Context(), service, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	const by = "endpointslice-controller.k8s.io"
	mirrored(t, client, "web", by+" web:8080/TCP 10.244.0.5=true", by+" web:9090/TCP 10.244.0.6=true")
	eventually(t, func() error {
		endpoints, err := client.CoreV1().Endpoints("default").Get(t.Context(), "web", metav1.GetOptions{})
		if err != nil {
			return err
		}
		got := ""
		for _, subset := range endpoints.Subsets {
			got += fmt.Sprintf("%s:%d ", subset.Addresses[0].IP, subset.Ports[0].Port)
		}
		if got != "10.244.0.5:8080 10.244.0.6:9090 " && got != "10.244.0.6:9090 10.244.0.5:8080 " {
			return fmt.Errorf("Endpoints are %q", got)
		}
		return nil
	})
}

// What is said in one word only is taken as upstream takes it.
func TestWordsOfServicesAreTaken(t *testing.T) {
	client := apitest.Start(t).Client(t)
	for name, test := range map[string]struct {
		change func(*corev1.ServiceSpec)
		want   string
	}{
		"near": {func(s *corev1.ServiceSpec) {
			s.TrafficDistribution = ptr.To(corev1.ServiceTrafficDistributionPreferSameNode)
		}, ""},
		"closer": {func(s *corev1.ServiceSpec) {
			s.TrafficDistribution = ptr.To(corev1.ServiceTrafficDistributionPreferClose)
		}, ""},
		"far":    {func(s *corev1.ServiceSpec) { s.TrafficDistribution = ptr.To("Far") }, `Service "far" is invalid: spec.trafficDistribution: Unsupported value: "Far": supported values: "PreferClose", "PreferSameNode", "PreferSameZone"`},
		"prefer": {func(s *corev1.ServiceSpec) { s.IPFamilyPolicy = ptr.To(corev1.IPFamilyPolicyPreferDualStack) }, ""},
		"both":   {func(s *corev1.ServiceSpec) { s.IPFamilyPolicy = ptr.To(corev1.IPFamilyPolicyRequireDualStack) }, `Service "both" is invalid: spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services`},
		"sctp":   {func(s *corev1.ServiceSpec) { s.Ports[0].Protocol = corev1.ProtocolSCTP }, ""},
	} {
		service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}
		test.change(&service.Spec)
		made, err := client.CoreV1().Services("default").Create(t.Context(), service, metav1.CreateOptions{})
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
		if err == nil && (len(made.Spec.ClusterIPs) != 1 || !slices.Equal(made.Spec.IPFamilies, []corev1.IPFamily{corev1.IPv4Protocol})) {
			t.Errorf("%s: addresses %v of families %v", name, made.Spec.ClusterIPs, made.Spec.IPFamilies)
		}
	}
}
