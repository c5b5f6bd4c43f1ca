package cli

import (
	"testing"

	"k8s.io/cli-runtime/pkg/genericclioptions"
)

func TestTheNearestName(t *testing.T) {
	for name, test := range map[string]struct {
		wanted string
		names  []string
		want   string
	}{
		"nothing there":          {"web", nil, ""},
		"nothing near":           {"web", []string{"database", "queue"}, ""},
		"a letter changed":       {"wbe", []string{"web", "queue"}, "web"},
		"a suffix left out":      {"http-go", []string{"http-go-deployment", "web"}, "http-go-deployment"},
		"a suffix too many":      {"http-go-deployment", []string{"http-go", "web"}, "http-go"},
		"the nearer of two":      {"webb", []string{"wabba", "web"}, "web"},
		"itself is no answer":    {"web", []string{"web"}, ""},
		"a beginning, no prefix": {"http", []string{"httpbin"}, ""},
	} {
		got, found := nearest(test.wanted, test.names)
		if got != test.want || found != (test.want != "") {
			t.Errorf("%s: nearest(%q, %q) = %q, %t; want %q", name, test.wanted, test.names, got, found, test.want)
		}
	}
}

func TestOnlyAMissingNameIsAnswered(t *testing.T) {
	for _, message := range []string{
		"",
		"error: unknown flag: --x",
		`Error from server (Forbidden): pods "x" is forbidden`,
		`error: the server doesn't have a resource type "foo"`,
	} {
		// With no server to ask, an answer would be an error too.
		if hint := nearNames(genericclioptions.NewConfigFlags(false), message); hint != "" {
			t.Errorf("%q was answered with %q", message, hint)
		}
	}
	match := notFound.FindStringSubmatch(`Error from server (NotFound): deployments.apps "http-go" not found`)
	if len(match) != 3 || match[1] != "deployments.apps" || match[2] != "http-go" {
		t.Errorf("matched %q", match)
	}
}
