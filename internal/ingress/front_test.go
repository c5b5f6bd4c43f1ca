package ingress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/ptr"
)

// running is a Front with an API of its own.
type running struct {
	*testing.T
	*fake.Clientset
	front       *Front
	http, https string
	// end stops the front and waits for it.
	end func()
}

type machine struct{}

func (machine) Addresses() ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("192.0.2.2")}, nil
}

// run starts a Front on two free ports, for all addresses of this machine.
func run(t *testing.T) *running {
	t.Helper()
	r := &running{T: t, Clientset: fake.NewClientset()}
	r.http, r.https = freePort(t), freePort(t)
	if err := EnsureClass(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	front, err := New(Config{
		Client: r, Informers: informers.NewSharedInformerFactory(r, 0), HTTP: ":" + r.http, HTTPS: ":" + r.https,
		Machine: machine{}, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	r.front = front
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- front.Run(ctx) }()
	stopped := false
	r.end = func() {
		if !stopped {
			stopped = true
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("Run: %v", err)
			}
		}
	}
	t.Cleanup(r.end)
	return r
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}

// serve makes a Service whose only Pod is the target.
func (r *running) serve(name string, pod target) {
	r.Helper()
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP}}}}
	if _, err := r.CoreV1().Services("default").Create(r.Context(), service, metav1.CreateOptions{}); err != nil {
		r.Fatal(err)
	}
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: name}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{pod.address.Addr().String()}, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true)}}},
		Ports:       []discoveryv1.EndpointPort{{Name: ptr.To("http"), Port: ptr.To(int32(pod.address.Port()))}},
	}
	if _, err := r.DiscoveryV1().EndpointSlices("default").Create(r.Context(), slice, metav1.CreateOptions{}); err != nil {
		r.Fatal(err)
	}
}

func (r *running) create(ingress *networkingv1.Ingress) {
	r.Helper()
	if _, err := r.NetworkingV1().Ingresses("default").Create(r.Context(), ingress, metav1.CreateOptions{}); err != nil {
		r.Fatal(err)
	}
}

func (r *running) update(ingress *networkingv1.Ingress) {
	r.Helper()
	if _, err := r.NetworkingV1().Ingresses("default").Update(r.Context(), ingress, metav1.UpdateOptions{}); err != nil {
		r.Fatal(err)
	}
}

// get asks by HTTP; "" while nobody listens.
func (r *running) get(client *http.Client, url, host string) string {
	request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, url, nil)
	if err != nil {
		r.Fatal(err)
	}
	request.Host = host
	response, err := client.Do(request)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(body))
}

func (r *running) url() string { return "http://127.0.0.1:" + r.http }

// awaitAnswer waits until a host is answered so.
func (r *running) awaitAnswer(host, want string) {
	r.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	await(r.T, fmt.Sprintf("the answer %q for %q", want, host), func() bool { return r.get(client, r.url(), host) == want })
}

func (r *running) events() (all []string) {
	list, err := r.CoreV1().Events("default").List(r.Context(), metav1.ListOptions{})
	if err != nil {
		r.Fatal(err)
	}
	for _, event := range list.Items {
		all = append(all, event.InvolvedObject.Name+" "+event.Reason+": "+event.Message)
	}
	return all
}

func (r *running) awaitEvent(part string) {
	r.Helper()
	await(r.T, "an event with "+part, func() bool {
		return slices.ContainsFunc(r.events(), func(event string) bool { return strings.Contains(event, part) })
	})
}

func (r *running) status(name string) string {
	ingress, err := r.NetworkingV1().Ingresses("default").Get(r.Context(), name, metav1.GetOptions{})
	if err != nil {
		r.Fatal(err)
	}
	var addresses []string
	for _, point := range ingress.Status.LoadBalancer.Ingress {
		addresses = append(addresses, point.IP)
	}
	return strings.Join(addresses, " ")
}

func listens(port string) bool {
	conn, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err == nil {
		conn.Close()
	}
	return err == nil
}

func TestTheFrontIsThereWhileAnIngressIs(t *testing.T) {
	r := run(t)
	r.serve("web", pod(t, named("web")))
	if listens(r.http) || listens(r.https) {
		t.Error("it listens without an Ingress")
	}
	r.create(ingressFor("shop", "shop.example", "web"))
	r.awaitAnswer("shop.example", "web")
	r.awaitAnswer("other.example", `no Ingress has a rule for host "other.example" and path "/"`)
	await(t, "the status", func() bool { return r.status("shop") == "192.0.2.2" })
	if !listens(r.https) {
		t.Error("it does not listen for HTTPS")
	}
	if err := r.NetworkingV1().Ingresses("default").Delete(t.Context(), "shop", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	await(t, "that nothing listens", func() bool { return !listens(r.http) && !listens(r.https) })
}

func TestOtherClassesAreLeftToOthers(t *testing.T) {
	r := run(t)
	r.serve("web", pod(t, named("web")))
	other := &networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: "nginx"}, Spec: networkingv1.IngressClassSpec{Controller: "k8s.io/ingress-nginx"}}
	if _, err := r.NetworkingV1().IngressClasses().Create(t.Context(), other, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	ingress := ingressFor("shop", "shop.example", "web")
	ingress.Spec.IngressClassName = ptr.To(ClassName)
	r.create(ingress)
	await(t, "the status", func() bool { return r.status("shop") == "192.0.2.2" })
	for _, change := range []func(*networkingv1.Ingress){
		func(i *networkingv1.Ingress) { i.Spec.IngressClassName = ptr.To("nginx") },
		func(i *networkingv1.Ingress) { i.Spec.IngressClassName = ptr.To("unknown") },
		func(i *networkingv1.Ingress) {
			i.Spec.IngressClassName, i.Annotations = nil, map[string]string{"kubernetes.io/ingress.class": "nginx"}
		},
	} {
		changed, err := r.NetworkingV1().Ingresses("default").Get(t.Context(), "shop", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		change(changed)
		r.update(changed)
		await(t, "that it is left alone", func() bool {
			// In this API a status is written with the rest of the object, and
			// the other way round: one that was on its way took the change back.
			changed.Status = networkingv1.IngressStatus{}
			if now, err := r.NetworkingV1().Ingresses("default").Get(t.Context(), "shop", metav1.GetOptions{}); err == nil && !reflect.DeepEqual(now.Spec, changed.Spec) {
				r.update(changed)
			}
			return !listens(r.http) && r.status("shop") == ""
		})
		changed.Spec.IngressClassName, changed.Annotations = ptr.To(ClassName), nil
		r.update(changed)
		await(t, "that it is served again", func() bool { return r.status("shop") == "192.0.2.2" })
	}
}

// A connection that a client keeps lives through every change.
func TestChangesCutNobodyOff(t *testing.T) {
	r := run(t)
	r.serve("a", pod(t, named("a")))
	r.serve("b", pod(t, named("b")))
	ingress := ingressFor("shop", "shop.example", "a")
	r.create(ingress)
	r.awaitAnswer("shop.example", "a")
	connections := 0
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		if !info.Reused {
			connections++
		}
	}})
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	ask := func() (body string) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url(), nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = "shop.example"
		_, body = do(t, client, request)
		return body
	}
	for _, to := range []string{"a", "b", "a"} {
		ingress = ingress.DeepCopy()
		ingress.Spec.Rules[0].HTTP.Paths[0].Backend = *servicePort(to, 80)
		r.update(ingress)
		await(t, "the answer of "+to, func() bool { return ask() == to })
	}
	if connections != 1 {
		t.Errorf("the client needed %d connections", connections)
	}
}

func TestAPortThatIsTakenIsSaidAndTakenLater(t *testing.T) {
	r := run(t)
	r.serve("web", pod(t, named("web")))
	other, err := net.Listen("tcp", "127.0.0.1:"+r.http)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	r.create(ingressFor("shop", "shop.example", "web"))
	r.awaitEvent("shop NotListening: port " + r.http + " is in use by another program of this machine")
	if status := r.status("shop"); status != "" {
		t.Errorf("it does not listen, and has the addresses %q", status)
	}
	other.Close()
	r.awaitAnswer("shop.example", "web")
	await(t, "the status", func() bool { return r.status("shop") == "192.0.2.2" })
}

// The rules of a LoadBalancer Service would take everything that is sent to its
// port, whoever listens.
func TestAPortOfALoadBalancerIsLeftToIt(t *testing.T) {
	r := run(t)
	r.serve("web", pod(t, named("web")))
	var port int32
	if _, err := fmt.Sscan(r.http, &port); err != nil {
		t.Fatal(err)
	}
	holder := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "holder"},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Ports: []corev1.ServicePort{{Port: port, Protocol: corev1.ProtocolTCP}}},
		Status:     corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{IP: "192.0.2.2"}}}},
	}
	if _, err := r.CoreV1().Services("default").Create(t.Context(), holder, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	r.create(ingressFor("shop", "shop.example", "web"))
	r.awaitEvent("port " + r.http + " is held by the LoadBalancer Service default/holder")
	if err := r.CoreV1().Services("default").Delete(t.Context(), "holder", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	r.awaitAnswer("shop.example", "web")
}

func TestAHostPortIsLeftToItsPod(t *testing.T) {
	r := run(t)
	r.serve("web", pod(t, named("web")))
	var port int32
	if _, err := fmt.Sscan(r.http, &port); err != nil {
		t.Fatal(err)
	}
	holder := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "holder"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{
		Name: "c", Ports: []corev1.ContainerPort{{ContainerPort: 80, HostPort: port, Protocol: corev1.ProtocolTCP}}}}}}
	if _, err := r.CoreV1().Pods("default").Create(t.Context(), holder, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	await(t, "that the front knows the Pod", func() bool { return r.front.holder(r.http) != "" })
	r.create(ingressFor("shop", "shop.example", "web"))
	r.awaitEvent("port " + r.http + " is held by the hostPort of Pod default/holder")
	if err := r.CoreV1().Pods("default").Delete(t.Context(), "holder", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	r.awaitAnswer("shop.example", "web")
}

func TestTheEndWaitsForRequestsUnderWay(t *testing.T) {
	r := run(t)
	slow := newSlowPod(t)
	r.serve("slow", slow.target)
	r.create(ingressFor("shop", "shop.example", "slow"))
	await(t, "that it listens", func() bool { return listens(r.http) })
	answer := make(chan string, 1)
	go func() { answer <- r.get(http.DefaultClient, r.url(), "shop.example") }()
	<-slow.asked
	ended := make(chan struct{})
	go func() { r.end(); close(ended) }()
	await(t, "that it listens no more", func() bool { return !listens(r.http) })
	slow.let <- struct{}{}
	if body := <-answer; body != "late" {
		t.Errorf("the request under way got %q", body)
	}
	<-ended
}

func TestTheClassIsMadeOnce(t *testing.T) {
	isDefault := func(client *fake.Clientset) bool {
		class, err := client.NetworkingV1().IngressClasses().Get(t.Context(), ClassName, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return class.Annotations[networkingv1.AnnotationIsDefaultIngressClass] == "true"
	}
	alone := fake.NewClientset()
	beside := fake.NewClientset(&networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: "nginx", Annotations: map[string]string{networkingv1.AnnotationIsDefaultIngressClass: "true"}}})
	for range 2 {
		if err := errors.Join(EnsureClass(t.Context(), alone), EnsureClass(t.Context(), beside)); err != nil {
			t.Fatal(err)
		}
	}
	if !isDefault(alone) || isDefault(beside) {
		t.Errorf("default alone: %v, beside another default: %v", isDefault(alone), isDefault(beside))
	}
	for range 2 {
		if err := RemoveClass(t.Context(), alone); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := alone.NetworkingV1().IngressClasses().List(t.Context(), metav1.ListOptions{}); err != nil || len(list.Items) > 0 {
		t.Errorf("%v %v", list, err)
	}
}

// shown is the certificate that a client is shown for a name, and the protocol
// that is agreed on.
func (r *running) shown(name string) (*x509.Certificate, string) {
	r.Helper()
	conn, err := tls.Dial("tcp", "127.0.0.1:"+r.https, &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}})
	if err != nil {
		r.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0], conn.ConnectionState().NegotiatedProtocol
}
