package registry_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
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
//	ask GROUP/VERSION RESOURCE       a review, below; its status
//	delete KIND NAME
//	clear KIND [FIELD=VALUE]         deletes the collection
//	get KIND NAME [SUBRESOURCE]      the whole object
//	show KIND NAME FIELD…            some of its fields
//	owners KIND NAME                 who manages which fields
//	list KIND [FIELD=VALUE]          the names
//	table KIND [wide]                the columns of `kubectl get`
//	serves GROUP/VERSION             what discovery lists
//	raw PATH                         an object by its path, for another version than the one preferred
//
// NAMESPACE in a manifest is the world's own.
//
// KIND is a resource, such as deployments.apps, or deployments.v1.apps for one
// in this very version. What lies below is indented.
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
	case "stop":
		return w.stop(words[1], words[2], words[3])
	case "post":
		return w.post(words[1], words[2], words[3], body)
	case "ask":
		return w.ask(words[1], words[2], body)
	case "clear":
		resource, _, err := w.resource(words[1])
		if err != nil {
			return err
		}
		return w.done("cleared", nil, resource.DeleteCollection(w.ctx, metav1.DeleteOptions{GracePeriodSeconds: new(int64)}, metav1.ListOptions{FieldSelector: words[2]}))
	case "list":
		return w.list(words[1], words[2])
	case "raw":
		return w.rawGet(words[1])
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
	found, err := w.resourceFor(name)
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
	return w.mapped(mapping), found, nil
}

// mapped is the resource of a kind, in the world's namespace if it has one.
func (w *world) mapped(mapping *meta.RESTMapping) dynamic.ResourceInterface {
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		return w.client.Resource(mapping.Resource).Namespace(w.namespace)
	}
	return w.client.Resource(mapping.Resource)
}

// resourceFor takes a name apart as kubectl does.
func (w *world) resourceFor(name string) (schema.GroupVersionResource, error) {
	versioned, any := schema.ParseResourceArg(name)
	if versioned != nil {
		if found, err := w.mapper.ResourceFor(*versioned); err == nil {
			return found, nil
		}
	}
	return w.mapper.ResourceFor(any.WithVersion(""))
}
