package core

import (
	"fmt"
	"net/url"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/runtime"
)

// AddConversions teaches scheme to read the options of pods/log and
// nodes/proxy from a query, and those of streams.
func AddConversions(scheme *runtime.Scheme) error {
	if err := addStreamConversions(scheme); err != nil {
		return err
	}
	if err := scheme.AddConversionFunc((*url.Values)(nil), (*corev1.NodeProxyOptions)(nil), func(in, out any, _ conversion.Scope) error {
		out.(*corev1.NodeProxyOptions).Path = in.(*url.Values).Get("path")
		return nil
	}); err != nil {
		return err
	}
	return scheme.AddConversionFunc((*url.Values)(nil), (*corev1.PodLogOptions)(nil), func(in, out any, _ conversion.Scope) error {
		return readLogOptions(*in.(*url.Values), out.(*corev1.PodLogOptions))
	})
}

func readLogOptions(query url.Values, options *corev1.PodLogOptions) error {
	options.Container = query.Get("container")
	for name, field := range map[string]*bool{
		"follow": &options.Follow, "previous": &options.Previous, "timestamps": &options.Timestamps,
		"insecureSkipTLSVerifyBackend": &options.InsecureSkipTLSVerifyBackend,
	} {
		*field = isOn(query, name)
	}
	for name, field := range map[string]**int64{
		"sinceSeconds": &options.SinceSeconds, "tailLines": &options.TailLines, "limitBytes": &options.LimitBytes,
	} {
		if text := query.Get(name); text != "" {
			value, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return fmt.Errorf("%s: %q is not a whole number", name, text)
			}
			*field = &value
		}
	}
	if text := query.Get("sinceTime"); text != "" {
		since, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return fmt.Errorf("sinceTime: %q is not a time (RFC 3339)", text)
		}
		options.SinceTime = &metav1.Time{Time: since}
	}
	if stream := query.Get("stream"); stream != "" {
		options.Stream = &stream
	}
	return nil
}
