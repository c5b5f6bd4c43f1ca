package core

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/runtime"
)

// addStreamConversions teaches scheme to read the options of pods/exec,
// pods/attach, pods/portforward, pods/proxy and services/proxy from a query.
func addStreamConversions(scheme *runtime.Scheme) error {
	for _, options := range []runtime.Object{
		&corev1.PodExecOptions{}, &corev1.PodAttachOptions{}, &corev1.PodPortForwardOptions{},
		&corev1.PodProxyOptions{}, &corev1.ServiceProxyOptions{},
	} {
		if err := scheme.AddConversionFunc((*url.Values)(nil), options, func(in, out any, _ conversion.Scope) error {
			return readStreamOptions(*in.(*url.Values), out)
		}); err != nil {
			return err
		}
	}
	return nil
}

func readStreamOptions(query url.Values, options any) (err error) {
	switch o := options.(type) {
	case *corev1.PodExecOptions:
		o.Stdin, o.Stdout, o.Stderr, o.TTY = isOn(query, "stdin"), isOn(query, "stdout"), isOn(query, "stderr"), isOn(query, "tty")
		o.Container, o.Command = query.Get("container"), query["command"]
	case *corev1.PodAttachOptions:
		o.Stdin, o.Stdout, o.Stderr, o.TTY = isOn(query, "stdin"), isOn(query, "stdout"), isOn(query, "stderr"), isOn(query, "tty")
		o.Container = query.Get("container")
	case *corev1.PodPortForwardOptions:
		o.Ports, err = readPorts(query["ports"])
	case *corev1.PodProxyOptions:
		o.Path = query.Get("path")
	case *corev1.ServiceProxyOptions:
		o.Path = query.Get("path")
	default:
		return fmt.Errorf("%T is not read from a query", options)
	}
	return err
}

// isOn reads a flag. A name alone means true, as everywhere in the API.
func isOn(query url.Values, name string) bool {
	values, given := query[name]
	return given && (len(values) == 0 || !strings.EqualFold(values[0], "false") && values[0] != "0")
}

// readPorts reads ports that are given one by one, or with commas.
func readPorts(values []string) (ports []int32, err error) {
	for _, value := range values {
		for text := range strings.SplitSeq(value, ",") {
			port, err := strconv.ParseUint(text, 10, 16)
			if err != nil || port == 0 {
				return nil, fmt.Errorf("ports: %q is not a number from 1 to 65535", text)
			}
			ports = append(ports, int32(port))
		}
	}
	return ports, nil
}
