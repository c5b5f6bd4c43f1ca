package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/cri-client/pkg/logs"

	"coxswain.dev/cox/internal/podlifecycle"
	"coxswain.dev/cox/internal/routing"
	"coxswain.dev/cox/internal/usage"
)

// Handler serves what the API server asks of a node, by the kubelet's paths.
func (a *Agent) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", a.serveLogs)
	mux.HandleFunc("GET "+routing.ConnectionsPath, a.serveConnections)
	mux.HandleFunc("GET "+usage.Path, a.serveUsage)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })
	a.addStreams(mux)
	return mux
}

// serveLogs answers with a container's log.
func (a *Agent) serveLogs(w http.ResponseWriter, r *http.Request) {
	options, err := logOptions(r.URL.Query(), time.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	pod, name := a.podNamed(r.PathValue("namespace"), r.PathValue("pod")), r.PathValue("container")
	if pod == nil {
		http.Error(w, fmt.Sprintf("pod %q not found", r.PathValue("pod")), http.StatusNotFound)
		return
	}
	c, err := a.loggedContainer(pod, name, r.URL.Query().Get("previous") == "true")
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	path := filepath.Join(a.logDir(pod), logPath(c.Name, c.RestartCount))
	out := &flushed{w}
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(http.StatusOK)
	out.flush()
	stdout, stderr := io.Writer(out), io.Writer(out)
	switch r.URL.Query().Get("stream") {
	case "Stdout":
		stderr = nil
	case "Stderr":
		stdout = nil
	}
	err = logs.ReadLogs(r.Context(), path, c.ID, options, liveness{a.runtime, a.workerOf(pod.UID)}, stdout, stderr)
	if err != nil && r.Context().Err() == nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintf(out, "%v\n", err)
	}
}

// loggedContainer finds the container whose log is asked for. Its errors have
// the words that kubectl shows.
func (a *Agent) loggedContainer(pod *corev1.Pod, name string, previous bool) (*podlifecycle.Container, error) {
	if containerOf(pod, name) == nil {
		return nil, fmt.Errorf("container %s not found in pod %s", name, pod.Name)
	}
	w := a.workerOf(pod.UID)
	if w == nil {
		return nil, fmt.Errorf("pod %q not found", pod.Name)
	}
	all := w.containersOf(name)
	wanted := 0
	if previous {
		wanted = 1
		if len(all) > 0 && w.waits(name) {
			// The newest has ended, and so is what came before the next.
			wanted = 0
		}
		if len(all) <= wanted {
			return nil, fmt.Errorf("previous terminated container %q in pod %q not found", name, pod.Name)
		}
	}
	if len(all) <= wanted {
		return nil, fmt.Errorf("container %q in pod %q is waiting to start: %s", name, pod.Name, w.waitingReason(name))
	}
	return &all[wanted], nil
}

// flushed sends every line at once.
type flushed struct{ http.ResponseWriter }

func (f *flushed) Write(content []byte) (int, error) {
	n, err := f.ResponseWriter.Write(content)
	f.flush()
	return n, err
}

func (f *flushed) flush() {
	// A writer that cannot flush is buffered by whoever made it.
	http.NewResponseController(f.ResponseWriter).Flush()
}

// logOptions reads the parameters of PodLogOptions.
func logOptions(query url.Values, now time.Time) (*logs.LogOptions, error) {
	options := &logs.LogOptions{Follow: query.Get("follow") == "true", Timestamp: query.Get("timestamps") == "true"}
	numbers := map[string]*int64{}
	for _, name := range []string{"tailLines", "limitBytes", "sinceSeconds"} {
		text := query.Get(name)
		if text == "" || name == "tailLines" && text == "all" {
			continue
		}
		number, err := strconv.ParseInt(text, 10, 64)
		if err != nil || number < 0 {
			return nil, fmt.Errorf("%s %q must be a number and not negative", name, text)
		}
		numbers[name] = &number
	}
	options.TailLines, options.LimitBytes = numbers["tailLines"], numbers["limitBytes"]
	if seconds := numbers["sinceSeconds"]; seconds != nil {
		options.Since = now.Add(-time.Duration(*seconds) * time.Second)
	}
	if text := query.Get("sinceTime"); text != "" {
		since, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return nil, fmt.Errorf("sinceTime %q is not a time in RFC 3339's form", text)
		}
		options.Since = since
	}
	return options, nil
}
