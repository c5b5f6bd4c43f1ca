package agent

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/proxy"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"coxswain.dev/cox/internal/podlifecycle"
)

type containerStatus = corev1.ContainerStatus

// addStreams serves exec, attach and port-forward: the runtime prepares a
// stream, and the request is led there.
func (a *Agent) addStreams(mux *http.ServeMux) {
	mux.HandleFunc("/exec/{namespace}/{pod}/{container}", a.serveExec)
	mux.HandleFunc("/attach/{namespace}/{pod}/{container}", a.serveAttach)
	mux.HandleFunc("/portForward/{namespace}/{pod}", a.servePortForward)
}

func (a *Agent) serveExec(w http.ResponseWriter, r *http.Request) {
	c, ok := a.streamed(w, r)
	if !ok {
		return
	}
	query := r.URL.Query()
	answer, err := a.runtime.Exec(r.Context(), &runtimeapi.ExecRequest{
		ContainerId: c.ID, Cmd: query["command"], Tty: on(query, "tty"),
		Stdin: on(query, "input"), Stdout: on(query, "output"), Stderr: on(query, "error") && !on(query, "tty"),
	})
	a.lead(w, r, answer.GetUrl(), err)
}

func (a *Agent) serveAttach(w http.ResponseWriter, r *http.Request) {
	c, ok := a.streamed(w, r)
	if !ok {
		return
	}
	query := r.URL.Query()
	// A process has a terminal from its start or has none, whatever is asked
	// for now.
	tty := a.hasTerminal(r.PathValue("namespace"), r.PathValue("pod"), c.Name)
	answer, err := a.runtime.Attach(r.Context(), &runtimeapi.AttachRequest{
		ContainerId: c.ID, Tty: tty,
		Stdin: on(query, "input"), Stdout: on(query, "output"), Stderr: on(query, "error") && !tty,
	})
	a.lead(w, r, answer.GetUrl(), err)
}

func (a *Agent) servePortForward(w http.ResponseWriter, r *http.Request) {
	pod := a.podNamed(r.PathValue("namespace"), r.PathValue("pod"))
	sandbox := ""
	if pod != nil {
		if worker := a.workerOf(pod.UID); worker != nil {
			sandbox = worker.readySandbox()
		}
	}
	if sandbox == "" {
		http.Error(w, fmt.Sprintf("pod %q does not run", r.PathValue("pod")), http.StatusNotFound)
		return
	}
	ports, err := readPorts(r.URL.Query().Get("port"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer, err := a.runtime.PortForward(r.Context(), &runtimeapi.PortForwardRequest{PodSandboxId: sandbox, Port: ports})
	a.lead(w, r, answer.GetUrl(), err)
}

// readPorts reads ports with commas between them. Streams that name their own
// ports, as SPDY's do, have none here.
func readPorts(text string) (ports []int32, err error) {
	if text == "" {
		return nil, nil
	}
	for one := range strings.SplitSeq(text, ",") {
		port, err := strconv.ParseUint(one, 10, 16)
		if err != nil || port == 0 {
			return nil, fmt.Errorf("port %q is not a number from 1 to 65535", one)
		}
		ports = append(ports, int32(port))
	}
	return ports, nil
}

// hasTerminal says whether a container was started with a terminal.
func (a *Agent) hasTerminal(namespace, pod, container string) bool {
	found := a.podNamed(namespace, pod)
	if found == nil {
		return false
	}
	spec := containerOf(found, container)
	return spec != nil && spec.TTY
}

// on reads a flag in either of the forms that clients send.
func on(query url.Values, name string) bool {
	return query.Get(name) == "1" || query.Get(name) == "true"
}

// streamed finds the running container of a request.
func (a *Agent) streamed(w http.ResponseWriter, r *http.Request) (*podlifecycle.Container, bool) {
	pod, name := a.podNamed(r.PathValue("namespace"), r.PathValue("pod")), r.PathValue("container")
	if pod != nil {
		if worker := a.workerOf(pod.UID); worker != nil {
			if c := worker.runningContainer(name); c != nil {
				return c, true
			}
		}
	}
	http.Error(w, fmt.Sprintf("container not found (%q)", name), http.StatusNotFound)
	return nil, false
}

// readySandbox is the sandbox that the Pod runs in, empty if there is none.
func (w *worker) readySandbox() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, sandbox := range w.observed.sandboxes {
		if sandbox.Ready {
			return sandbox.ID
		}
	}
	return ""
}

// lead passes a request on to the runtime's streaming server.
func (a *Agent) lead(w http.ResponseWriter, r *http.Request, target string, err error) {
	if err != nil {
		http.Error(w, message(err), http.StatusInternalServerError)
		return
	}
	location, err := url.Parse(target)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	handler := proxy.NewUpgradeAwareHandler(location, nil, false, true, streamErrors{})
	handler.ServeHTTP(w, r)
}

// streamErrors answers when the runtime's streaming server does not.
type streamErrors struct{}

func (streamErrors) Error(w http.ResponseWriter, _ *http.Request, err error) {
	http.Error(w, err.Error(), http.StatusInternalServerError)
}
