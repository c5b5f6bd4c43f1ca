package probes

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Outcome is that of one try.
type Outcome struct {
	Success bool
	// Output says why a try failed.
	Output string
	// Err is set when the try itself could not be made.
	Err error
}

func failure(err error) Outcome { return Outcome{Output: err.Error()} }

// Exec runs a command in the container: its output, and whether it ended with
// exit code 0 in time. The error is for a command that could not be run.
type Exec func(ctx context.Context, command []string, timeout time.Duration) (output string, ok bool, err error)

// Target is what is probed.
type Target struct {
	PodIP     string
	Container *corev1.Container
	Exec      Exec
}

// maxOutput bounds what is kept of an answer.
const maxOutput = 10 << 10

// Try makes one try.
func (t Target) Try(ctx context.Context, probe *corev1.Probe) Outcome {
	timeout := time.Duration(max(probe.TimeoutSeconds, 1)) * time.Second
	switch {
	case probe.Exec != nil:
		output, ok, err := t.Exec(ctx, probe.Exec.Command, timeout)
		return Outcome{Success: ok, Output: cut(output), Err: err}
	case probe.HTTPGet != nil:
		return t.http(ctx, probe.HTTPGet, timeout)
	case probe.TCPSocket != nil:
		return t.tcp(ctx, probe.TCPSocket, timeout)
	case probe.GRPC != nil:
		return t.grpc(ctx, probe.GRPC, timeout)
	}
	return Outcome{Err: errors.New("the probe has no action")}
}

func cut(output string) string { return output[:min(len(output), maxOutput)] }

// Port is the number of a port that is given by number or name.
func Port(c *corev1.Container, port intstr.IntOrString) (int, error) {
	if port.Type == intstr.Int {
		return port.IntValue(), nil
	}
	for _, p := range c.Ports {
		if p.Name == port.StrVal {
			return int(p.ContainerPort), nil
		}
	}
	if number, err := strconv.Atoi(port.StrVal); err == nil {
		return number, nil
	}
	return 0, fmt.Errorf("couldn't find port: %v in container %s", port.StrVal, c.Name)
}

// transport makes a new connection for every probe, as a first visitor would.
func transport() *http.Transport {
	return &http.Transport{
		TLSClientConfig:    &tls.Config{InsecureSkipVerify: true},
		DisableKeepAlives:  true,
		DisableCompression: true,
		Proxy:              nil,
		DialContext:        dialer().DialContext,
	}
}

// dialer closes connections without leaving them in TIME_WAIT, which would
// fill the table of ports.
func dialer() *net.Dialer {
	return &net.Dialer{Control: lingerZero}
}

func (t Target) http(ctx context.Context, action *corev1.HTTPGetAction, timeout time.Duration) Outcome {
	request, err := HTTPRequest(ctx, t.Container, t.PodIP, action)
	if err != nil {
		return Outcome{Err: err}
	}
	client := &http.Client{Timeout: timeout, Transport: transport(), CheckRedirect: sameHost}
	answer, err := client.Do(request)
	if err != nil {
		return failure(err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(answer.Body, maxOutput)); err != nil {
		return failure(err)
	}
	if answer.StatusCode >= 200 && answer.StatusCode < 400 {
		return Outcome{Success: true}
	}
	return Outcome{Output: fmt.Sprintf("HTTP probe failed with statuscode: %d", answer.StatusCode)}
}

// sameHost follows a redirect within the Pod only.
func sameHost(request *http.Request, via []*http.Request) error {
	if request.URL.Hostname() != via[0].URL.Hostname() {
		return http.ErrUseLastResponse
	}
	if len(via) >= 10 {
		return errors.New("stopped after 10 redirects")
	}
	return nil
}

// HTTPRequest is the request of a probe or hook.
func HTTPRequest(ctx context.Context, c *corev1.Container, podIP string, action *corev1.HTTPGetAction) (*http.Request, error) {
	port, err := Port(c, action.Port)
	if err != nil {
		return nil, err
	}
	host := action.Host
	if host == "" {
		host = podIP
	}
	scheme := strings.ToLower(string(action.Scheme))
	if scheme == "" {
		scheme = "http"
	}
	target, err := url.Parse(action.Path)
	if err != nil {
		target = &url.URL{Path: action.Path}
	}
	target.Scheme, target.Host = scheme, net.JoinHostPort(host, strconv.Itoa(port))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, err
	}
	for _, header := range action.HTTPHeaders {
		request.Header.Add(header.Name, header.Value)
		if strings.EqualFold(header.Name, "Host") {
			request.Host = header.Value
		}
	}
	if request.Header.Get("User-Agent") == "" {
		request.Header.Set("User-Agent", "kube-probe/1.37")
	}
	if request.Header.Get("Accept") == "" {
		request.Header.Set("Accept", "*/*")
	}
	return request, nil
}

func (t Target) tcp(ctx context.Context, action *corev1.TCPSocketAction, timeout time.Duration) Outcome {
	port, err := Port(t.Container, action.Port)
	if err != nil {
		return Outcome{Err: err}
	}
	host := action.Host
	if host == "" {
		host = t.PodIP
	}
	d := dialer()
	d.Timeout = timeout
	connection, err := d.DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return failure(err)
	}
	connection.Close()
	return Outcome{Success: true}
}
