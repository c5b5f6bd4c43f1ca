package cli_test

import (
	"fmt"
	"strings"
	"testing"

	"coxswain.dev/cox/internal/cli"
)

// TestBadInput: what is wrong with a command line or a file is one sentence,
// before the API is asked, and so it is if the API does not answer.
func TestBadInput(t *testing.T) {
	g := newGolden(t, "bad-input")
	for _, args := range []string{
		"plan",
		"plan -f missing.yaml",
		"plan -f testdata",
		"plan -f https://example.com/web.yaml",
		"plan -f - -f -",
		"plan -f - deploy/web",
		"plan -f testdata/simulate/web.yaml testdata/simulate/web-v2.yaml",
		"plan -f - --image web=web:v2",
		"plan -f - -o yaml",
		"plan -f - --ready-after -1s",
		"plan deploy/web",
		"plan web --image web=web:v2",
		"plan statefulset/web --image web=web:v2",
		"plan deploy/ --image web=web:v2",
		"plan deploy --image web=web:v2",
		"plan deploy/web other --image web=web:v2",
		"rollout status deploy/web",
		"rollout undo",
		"rollout undo web",
		"rollout undo deploy/web deploy/other",
		"rollout undo deploy/web --to-revision=one",
		"rollout undo deploy/web --to-revision=-1",
		"rollout undo deploy/web --dry-run=maybe",
		"rollout diff deploy/web first",
		"rollout diff deploy/web 1 2 3",
		"rollout diff deploy/web -o wide",
		"rollout diff deploy/web --kubeconfig missing",
		"rollout diff deploy/web --kubeconfig testdata/nobody.kubeconfig",
		"rollout undo deploy/web --kubeconfig testdata/nobody.kubeconfig",
		"plan deploy/web --image web=web:v2 --kubeconfig testdata/nobody.kubeconfig",
	} {
		g.add("cox "+args, outcome(strings.NewReader(""), strings.Fields(args)...))
	}
	for _, file := range []struct{ what, content string }{
		{"metadata without its colon (SPEC, Examples)", "apiVersion: apps/v1\nkind: Deployment\nmetadata\n  name: web\n"},
		{"a tab", "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n\tname: web\n"},
		{"no YAML", "{"},
		{"a text", "hello"},
		{"a name that is a number", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: 5}\n"},
		{"labels that are a list", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, labels: [app]}\n"},
		{"a list", "[web]"},
		{"a label that YAML takes for a bool", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, labels: {live: yes}}\n"},
		{"kind in small letters", "apiVersion: apps/v1\nkind: deployment\nmetadata: {name: web}\n"},
		{"a list of nothing", "apiVersion: v1\nkind: List\nitems:\n"},
		{"no kind", "apiVersion: apps/v1\nmetadata: {name: web}\n"},
		{"no apiVersion", "kind: Deployment\nmetadata: {name: web}\n"},
		{"the wrong apiVersion", "apiVersion: v1\nkind: Deployment\nmetadata: {name: web}\n"},
		{"no name", "apiVersion: apps/v1\nkind: Deployment\n"},
		{"no Deployment", "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n---\n# nothing\n"},
		{"nothing", "---\n"},
	} {
		g.add("cox plan -f -  # "+file.what, outcome(strings.NewReader(file.content), "plan", "-f", "-"))
	}
	g.compare()
}

// outcome is what a command prints, with its error and exit code.
func outcome(stdin *strings.Reader, args ...string) string {
	out, err := runCommand(stdin, args...)
	code, _ := cli.ExitCode(err)
	if err != nil {
		out += fmt.Sprintf("error: %v\n", err)
	}
	return out + fmt.Sprintf("exit %d\n", code)
}
