package cri

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// Mirror says that images of a registry are pulled from another place first.
type Mirror struct {
	// Registry is the host, or host:port, that image names begin with, such
	// as docker.io; "*" stands for every registry without a mirror of its own.
	Registry string
	// URL is the place to pull from: http or https, a host, perhaps a path.
	URL string
}

// AnyRegistry is the Registry of a Mirror that serves all others.
const AnyRegistry = "*"

// registryPattern is a host name or address and perhaps a port. It also names
// a folder.
var registryPattern = regexp.MustCompile(`^([a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?$`)

// ParseMirror understands REGISTRY=URL, such as docker.io=http://127.0.0.1:5000.
// Plain HTTP has to be said; a URL without a scheme means https.
func ParseMirror(text string) (Mirror, error) {
	registry, target, found := strings.Cut(text, "=")
	if !found || registry == "" || target == "" {
		return Mirror{}, fmt.Errorf("%q is not REGISTRY=URL (for example docker.io=http://127.0.0.1:5000)", text)
	}
	if registry != AnyRegistry && !registryPattern.MatchString(registry) {
		return Mirror{}, fmt.Errorf("%q: the registry %q must be a host or host:port, as image names begin with it", text, registry)
	}
	if !strings.Contains(target, "://") {
		target = "https://" + target
	}
	parsed, err := url.Parse(target)
	switch {
	case err != nil:
		return Mirror{}, fmt.Errorf("%q: %q is not a URL: %w", text, target, err)
	case parsed.Scheme != "http" && parsed.Scheme != "https":
		return Mirror{}, fmt.Errorf("%q: the URL must begin with http:// or https://, not %s://", text, parsed.Scheme)
	case parsed.Host == "" || parsed.User != nil || parsed.RawQuery != "" || parsed.Fragment != "":
		return Mirror{}, fmt.Errorf("%q: the URL must be a scheme, a host and perhaps a port and a path", text)
	}
	// Docker Hub answers to several names; images are always docker.io's.
	if registry == "index.docker.io" || registry == "registry-1.docker.io" {
		registry = "docker.io"
	}
	return Mirror{Registry: registry, URL: strings.TrimRight(parsed.String(), "/")}, nil
}

// String is the text that ParseMirror understands.
func (m Mirror) String() string { return m.Registry + "=" + m.URL }
