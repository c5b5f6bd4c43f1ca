package ingress

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"coxswain.dev/cox/test/golden"
)

// world is some Ingresses, each a second younger than the one before.
type world struct {
	ingresses []*networkingv1.Ingress
	answer    strings.Builder
}

// Every file in testdata is one rule of how requests find their Service.
func TestTable(t *testing.T) {
	golden.Scenarios(t, func() *world { return &world{} })
}

// Do takes:
//
//	ingress [NAMESPACE/]NAME [KEY=VALUE]   with its spec below, and an annotation
//	table                      all rules
//	ask HOST/PATH…             where requests go
//	problems                   what is wrong
func (w *world) Do(statement string) error {
	line, below, _ := strings.Cut(statement, "\n")
	words := strings.Fields(line)
	table, problems := NewTable(w.ingresses)
	switch words[0] {
	case "ingress":
		return w.add(words[1:], below)
	case "table":
		w.answer.WriteString(table.String())
	case "problems":
		for _, p := range problems {
			fmt.Fprintf(&w.answer, "%s/%s %s: %s\n", p.Ingress.Namespace, p.Ingress.Name, p.Reason, p.Message)
		}
	case "ask":
		for _, asked := range words[1:] {
			u, err := url.Parse("http://" + asked)
			if err != nil {
				return err
			}
			if route, ok := table.Match(u.Host, u.Path); ok {
				fmt.Fprintf(&w.answer, "%s -> %s%s\n", asked, route.Backend, timeoutText(route))
			} else {
				fmt.Fprintf(&w.answer, "%s -> nowhere\n", asked)
			}
		}
	default:
		return fmt.Errorf("no such statement")
	}
	return nil
}

func timeoutText(r Route) string {
	if r.Timeout == defaultTimeout {
		return ""
	}
	return fmt.Sprintf(" within %v", r.Timeout)
}

func (w *world) add(words []string, spec string) error {
	namespace, name, ok := strings.Cut(words[0], "/")
	if !ok {
		namespace, name = "default", words[0]
	}
	ingress := &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: name, CreationTimestamp: metav1.NewTime(time.Unix(int64(len(w.ingresses)), 0)),
	}}
	if len(words) > 1 {
		key, value, _ := strings.Cut(words[1], "=")
		ingress.Annotations = map[string]string{key: value}
	}
	if err := yaml.UnmarshalStrict([]byte(spec), &ingress.Spec); err != nil {
		return err
	}
	w.ingresses = append(w.ingresses, ingress)
	return nil
}

// Answer implements golden.World.
func (w *world) Answer() string {
	defer w.answer.Reset()
	return w.answer.String()
}
