package registry_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/yaml"
)

// world is a namespace of an API server, as a client sees it.
type world struct {
	ctx       context.Context
	client    dynamic.Interface
	raw       rest.Interface
	mapper    meta.RESTMapper
	namespace string
	answer    strings.Builder
}

func newWorld(t *testing.T, config *rest.Config, namespace string) *world {
	t.Helper()
	w := &world{ctx: t.Context(), namespace: namespace}
	config = rest.CopyConfig(config)
	config.WarningHandler, config.WarningHandlerWithContext = w, nil
	asked, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	w.client, w.raw = client, asked.RESTClient()
	w.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(asked))
	made := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": namespace}}}
	_, err = client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}).Create(w.ctx, made, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	account := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": map[string]any{"name": "default"}}}
	_, err = client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "serviceaccounts"}).Namespace(namespace).Create(w.ctx, account, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// HandleWarningHeader implements rest.WarningHandler.
func (w *world) HandleWarningHeader(_ int, _, text string) {
	fmt.Fprintf(&w.answer, "Warning: %s\n", text)
}

// Do sends one request, and keeps what comes back:
//
//	create|replace [SUBRESOURCE] [dryRun] [Warn|Ignore]   with the manifest below
//	merge|json|strategic|apply KIND NAME [SUBRESOURCE]   a patch of this type, below
//	post KIND NAME SUBRESOURCE       what is below, such as a Binding; the answer
//	delete KIND NAME
//	clear KIND [FIELD=VALUE]         deletes the collection
//	get KIND NAME [SUBRESOURCE]      the whole object
//	show KIND NAME FIELD…            some of its fields
//	owners KIND NAME                 who manages which fields
//	list KIND [FIELD=VALUE]          the names
//	table KIND [wide]                the columns of `kubectl get`
//	serves GROUP/VERSION             what discovery lists
//
// NAMESPACE in a manifest is the world's own.
//
// KIND is a resource, such as deployments.apps. What lies below is indented.
func (w *world) Do(statement string) error {
	line, below, _ := strings.Cut(strings.ReplaceAll(statement, "NAMESPACE", w.namespace), "\n")
	words, asked := options(strings.Fields(line))
	body, err := dedent(below)
	if err != nil {
		return err
	}
	switch verb := words[0]; verb {
	case "create", "replace":
		return w.write(verb, body, words[1], asked)
	case "merge", "json", "strategic", "apply":
		return w.patch(verb, words[1], words[2], words[3], body)
	case "get":
		return w.get(words[1], words[2], words[3])
	case "show":
		return w.show(words[1], words[2], strings.Fields(line)[3:])
	case "owners":
		return w.owners(words[1], words[2])
	case "delete":
		return w.remove(words[1], words[2])
	case "post":
		return w.post(words[1], words[2], words[3], body)
	case "clear":
		resource, _, err := w.resource(words[1])
		if err != nil {
			return err
		}
		return w.done("cleared", nil, resource.DeleteCollection(w.ctx, metav1.DeleteOptions{GracePeriodSeconds: new(int64)}, metav1.ListOptions{FieldSelector: words[2]}))
	case "list":
		return w.list(words[1], words[2])
	case "serves":
		return w.serves(words[1])
	case "table":
		return w.table(words[1], words[2] == "wide")
	}
	return errors.New("no such verb")
}

// asked are the options of a write.
type asked struct {
	dryRun     []string
	validation string
}

// options takes the options out of a statement, and fills up its words.
func options(words []string) ([]string, asked) {
	all := asked{validation: "Strict"}
	words = slices.DeleteFunc(words, func(word string) bool {
		switch word {
		case "dryRun":
			all.dryRun = []string{metav1.DryRunAll}
		case "Warn", "Ignore":
			all.validation = word
		default:
			return false
		}
		return true
	})
	return append(words, "", "", ""), all
}

// Answer is what came back of all requests since the last one.
func (w *world) Answer() string {
	defer w.answer.Reset()
	return w.answer.String()
}

// dedent is the JSON of the YAML below a statement.
func dedent(below string) ([]byte, error) {
	var plain strings.Builder
	for line := range strings.Lines(below) {
		plain.WriteString(strings.TrimPrefix(line, "  "))
	}
	return yaml.YAMLToJSON([]byte(plain.String()))
}

// resource finds what a name such as deployments.apps means.
func (w *world) resource(name string) (dynamic.ResourceInterface, schema.GroupVersionResource, error) {
	found, err := w.mapper.ResourceFor(schema.ParseGroupResource(name).WithVersion(""))
	if err != nil {
		return nil, found, err
	}
	kind, err := w.mapper.KindFor(found)
	if err != nil {
		return nil, found, err
	}
	mapping, err := w.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return nil, found, err
	}
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		return w.client.Resource(found).Namespace(w.namespace), found, nil
	}
	return w.client.Resource(found), found, nil
}

func (w *world) write(verb string, body []byte, subresource string, asked asked) error {
	object := &unstructured.Unstructured{}
	if err := json.Unmarshal(body, &object.Object); err != nil {
		return err
	}
	kind := object.GroupVersionKind()
	mapping, err := w.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return err
	}
	resource, _, err := w.resource(mapping.Resource.GroupResource().String())
	if err != nil {
		return err
	}
	below := subresources(subresource)
	var got *unstructured.Unstructured
	if verb == "create" {
		got, err = resource.Create(w.ctx, object, metav1.CreateOptions{FieldValidation: asked.validation, DryRun: asked.dryRun}, below...)
	} else {
		got, err = resource.Update(w.ctx, object, metav1.UpdateOptions{FieldValidation: asked.validation, DryRun: asked.dryRun}, below...)
	}
	return w.done(verb+"d", got, err)
}

func (w *world) post(name, object, subresource string, body []byte) error {
	resource, _, err := w.resource(name)
	if err != nil {
		return err
	}
	sent := &unstructured.Unstructured{}
	if err := json.Unmarshal(body, &sent.Object); err != nil {
		return err
	}
	sent.SetName(object)
	got, err := resource.Create(w.ctx, sent, metav1.CreateOptions{}, subresource)
	return w.tell(got, err)
}

var patchTypes = map[string]types.PatchType{
	"merge": types.MergePatchType, "json": types.JSONPatchType, "strategic": types.StrategicMergePatchType, "apply": types.ApplyPatchType,
}

func (w *world) patch(verb, name, object, subresource string, body []byte) error {
	resource, _, err := w.resource(name)
	if err != nil {
		return err
	}
	options := metav1.PatchOptions{FieldValidation: "Strict"}
	if verb == "apply" {
		options.FieldManager = "test"
	}
	got, err := resource.Patch(w.ctx, object, patchTypes[verb], body, options, subresources(subresource)...)
	return w.done("patched", got, err)
}

// done says that a write was taken. What became of it a get tells.
func (w *world) done(what string, object *unstructured.Unstructured, err error) error {
	if err != nil {
		return w.tell(object, err)
	}
	_, err = fmt.Fprintln(&w.answer, what)
	return err
}

func (w *world) remove(name, object string) error {
	resource, _, err := w.resource(name)
	if err != nil {
		return err
	}
	return w.done("deleted", nil, resource.Delete(w.ctx, object, metav1.DeleteOptions{GracePeriodSeconds: new(int64)}))
}

func (w *world) get(name, object, subresource string) error {
	resource, _, err := w.resource(name)
	if err != nil {
		return err
	}
	got, err := resource.Get(w.ctx, object, metav1.GetOptions{}, subresources(subresource)...)
	return w.tell(got, err)
}

func (w *world) show(name, object string, paths []string) error {
	resource, _, err := w.resource(name)
	if err != nil {
		return err
	}
	got, err := resource.Get(w.ctx, object, metav1.GetOptions{})
	if err != nil {
		return w.tell(nil, err)
	}
	for _, path := range paths {
		value, _, err := unstructured.NestedFieldNoCopy(got.Object, strings.Split(path, ".")...)
		if err != nil {
			return err
		}
		text, err := yaml.Marshal(map[string]any{path: value})
		if err != nil {
			return err
		}
		w.answer.WriteString(w.mask(string(text)))
	}
	return nil
}

func (w *world) owners(name, object string) error {
	resource, _, err := w.resource(name)
	if err != nil {
		return err
	}
	got, err := resource.Get(w.ctx, object, metav1.GetOptions{})
	if err != nil {
		return w.tell(nil, err)
	}
	for _, entry := range got.GetManagedFields() {
		fmt.Fprintf(&w.answer, "%s %s %s %s %s\n", entry.Manager, entry.Operation, entry.APIVersion, entry.Subresource, entry.FieldsV1.Raw)
	}
	return nil
}

func (w *world) list(name, selector string) error {
	resource, _, err := w.resource(name)
	if err != nil {
		return err
	}
	found, err := resource.List(w.ctx, metav1.ListOptions{FieldSelector: selector})
	if err != nil {
		return w.tell(nil, err)
	}
	var names []string
	for _, item := range found.Items {
		names = append(names, item.GetName())
	}
	slices.Sort(names)
	fmt.Fprintf(&w.answer, "%s\n", w.mask(strings.Join(names, " ")))
	return nil
}

func subresources(name string) []string {
	if name == "" {
		return nil
	}
	return []string{name}
}

// tell writes down an object without what differs from run to run, or why
// there is none.
func (w *world) tell(object *unstructured.Unstructured, err error) error {
	var refused apierrors.APIStatus
	if errors.As(err, &refused) {
		fmt.Fprintf(&w.answer, "%d %s\n", refused.Status().Code, refused.Status().Reason)
		message := strings.NewReplacer("\n\n", "\n", ", spec.", ",\n spec.").Replace(refused.Status().Message)
		fmt.Fprintf(&w.answer, " %s\n", w.mask(strings.TrimRight(message, "\n")))
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

// table writes down the columns as kubectl shows them.
func (w *world) table(name string, wide bool) error {
	_, found, err := w.resource(name)
	if err != nil {
		return err
	}
	prefix := "/apis/" + found.Group + "/" + found.Version
	if found.Group == "" {
		prefix = "/api/" + found.Version
	}
	path := prefix + "/namespaces/" + w.namespace + "/" + found.Resource
	if kind, err := w.mapper.KindFor(found); err == nil {
		if mapping, err := w.mapper.RESTMapping(kind.GroupKind(), kind.Version); err == nil && mapping.Scope.Name() == meta.RESTScopeNameRoot {
			path = prefix + "/" + found.Resource
		}
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
