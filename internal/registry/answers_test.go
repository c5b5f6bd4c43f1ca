package registry_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"text/tabwriter"

	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// tell writes down an object without what differs from run to run, or why
// there is none.
func (w *world) tell(object *unstructured.Unstructured, err error) error {
	var refused apierrors.APIStatus
	if errors.As(err, &refused) {
		fmt.Fprintf(&w.answer, "%d %s\n", refused.Status().Code, refused.Status().Reason)
		message := strings.NewReplacer("\n\n", "\n", ", spec.", ",\n spec.").Replace(refused.Status().Message)
		fmt.Fprintf(&w.answer, " %s\n", w.mask(strings.TrimRight(message, "\n")))
		w.tellDetails(refused.Status().Details)
		return nil
	}
	if err != nil {
		return err
	}
	meta, _ := object.Object["metadata"].(map[string]any)
	for _, field := range []string{"uid", "resourceVersion", "creationTimestamp", "managedFields", "namespace"} {
		delete(meta, field)
	}
	text, err := yaml.Marshal(object.Object)
	w.answer.WriteString(w.mask(string(text)))
	return err
}

// tellDetails writes down what a refusal says beyond its message: causes that
// are not about a field, and when to ask again.
func (w *world) tellDetails(details *metav1.StatusDetails) {
	if details == nil {
		return
	}
	for _, cause := range details.Causes {
		if cause.Field == "" && cause.Type == policyv1.DisruptionBudgetCause {
			fmt.Fprintf(&w.answer, " %s: %s\n", cause.Type, cause.Message)
		}
	}
	if details.RetryAfterSeconds > 0 {
		fmt.Fprintf(&w.answer, " retry after %d s\n", details.RetryAfterSeconds)
	}
}

// masks are what differs from run to run.
var masks = []struct {
	what *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "UID"},
	{regexp.MustCompile(`10\.96\.\d+\.\d+`), "10.96.x.x"},
	{regexp.MustCompile(`\d+[a-z]+\d*[a-z]* ago`), "AGE ago"},
	{regexp.MustCompile(`kube-api-access-[a-z0-9]{5}`), "kube-api-access-xxxxx"},
	{regexp.MustCompile(`\b3[0-2]\d{3}\b`), "3xxxx"},
	{regexp.MustCompile(`202[6-9]-\d\d-\d\dT\d\d:\d\d:\d\dZ`), "TIME"},
	{regexp.MustCompile(`eyJ[\w.-]+`), "TOKEN"},
	{regexp.MustCompile(`made-[a-z0-9]{5}`), "made-xxxxx"},
	{regexp.MustCompile(`resourceVersion\\":\\"\d+`), `resourceVersion\":\"N`},
}

func (w *world) mask(text string) string {
	text = strings.ReplaceAll(text, w.namespace, "NAMESPACE")
	for _, m := range masks {
		text = m.what.ReplaceAllString(text, m.by)
	}
	return text
}

// path leads to the collection of a resource, in the world's namespace if it is
// in any.
func (w *world) path(name string) (string, error) {
	_, found, err := w.resource(name)
	if err != nil {
		return "", err
	}
	prefix := "/apis/" + found.Group + "/" + found.Version
	if found.Group == "" {
		prefix = "/api/" + found.Version
	}
	if kind, err := w.mapper.KindFor(found); err == nil {
		if mapping, err := w.mapper.RESTMapping(kind.GroupKind(), kind.Version); err == nil && mapping.Scope.Name() == meta.RESTScopeNameRoot {
			return prefix + "/" + found.Resource, nil
		}
	}
	return prefix + "/namespaces/" + w.namespace + "/" + found.Resource, nil
}

// table writes down the columns as kubectl shows them.
func (w *world) table(name string, wide bool) error {
	path, err := w.path(name)
	if err != nil {
		return err
	}
	content, err := w.raw.Get().AbsPath(path).SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").DoRaw(w.ctx)
	if err != nil {
		return w.tell(nil, err)
	}
	var table metav1.Table
	if err := json.Unmarshal(content, &table); err != nil {
		return err
	}
	out := tabwriter.NewWriter(&w.answer, 0, 0, 2, ' ', 0)
	var names []string
	for _, column := range table.ColumnDefinitions {
		if wide || column.Priority == 0 {
			names = append(names, strings.ToUpper(column.Name))
		}
	}
	fmt.Fprintln(out, strings.Join(names, "\t"))
	for _, row := range table.Rows {
		var cells []string
		for n, column := range table.ColumnDefinitions {
			if !wide && column.Priority > 0 {
				continue
			}
			cell := fmt.Sprint(row.Cells[n])
			if column.Name == "Age" || column.Name == "Last Seen" || column.Name == "First Seen" {
				cell = "AGE"
			}
			cells = append(cells, w.mask(cell))
		}
		fmt.Fprintln(out, strings.Join(cells, "\t"))
	}
	return out.Flush()
}

// serves writes down the resources of a version.
func (w *world) serves(version string) error {
	path := "/apis/" + version
	if !strings.Contains(version, "/") {
		path = "/api/" + version
	}
	content, err := w.raw.Get().AbsPath(path).SetHeader("Accept", "application/json").DoRaw(w.ctx)
	if err != nil {
		return w.tell(nil, err)
	}
	var list metav1.APIResourceList
	if err := json.Unmarshal(content, &list); err != nil {
		return err
	}
	out := tabwriter.NewWriter(&w.answer, 0, 0, 2, ' ', 0)
	for _, resource := range list.APIResources {
		kind := strings.Trim(resource.Group+"/"+resource.Version+" "+resource.Kind, "/ ")
		scope := "cluster"
		if resource.Namespaced {
			scope = "namespace"
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\n", resource.Name, kind, scope, resource.SingularName,
			strings.Join(append(resource.ShortNames, resource.Categories...), ","), strings.Join(resource.Verbs, ","))
	}
	return out.Flush()
}
