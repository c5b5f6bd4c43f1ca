package registry_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"
)

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
	resource := w.mapped(mapping)
	below := subresources(subresource)
	var got *unstructured.Unstructured
	if verb == "create" {
		got, err = resource.Create(w.ctx, object, metav1.CreateOptions{FieldValidation: asked.validation, DryRun: asked.dryRun}, below...)
	} else {
		got, err = resource.Update(w.ctx, object, metav1.UpdateOptions{FieldValidation: asked.validation, DryRun: asked.dryRun}, below...)
	}
	return w.done(verb+"d", got, err)
}

// post does not ask again when the answer is to: the answer is what is looked
// at.
func (w *world) post(name, object, subresource string, body []byte) error {
	path, err := w.path(name)
	if err != nil {
		return err
	}
	sent := &unstructured.Unstructured{}
	if err := json.Unmarshal(body, &sent.Object); err != nil {
		return err
	}
	sent.SetName(object)
	if body, err = json.Marshal(sent.Object); err != nil {
		return err
	}
	result := w.raw.Post().AbsPath(path, object, subresource).MaxRetries(0).Body(body).
		SetHeader("Content-Type", "application/json").SetHeader("Accept", "application/json").Do(w.ctx)
	if err := result.Error(); err != nil {
		return w.tell(nil, err)
	}
	content, err := result.Raw()
	if err != nil {
		return err
	}
	got := &unstructured.Unstructured{}
	if err := json.Unmarshal(content, &got.Object); err != nil {
		return err
	}
	return w.tell(got, nil)
}

// ask sends what is not stored.
func (w *world) ask(version, resource string, body []byte) error {
	result := w.raw.Post().AbsPath("/apis/"+version+"/"+resource).Body(body).SetHeader("Content-Type", "application/json").SetHeader("Accept", "application/json").Do(w.ctx)
	if err := result.Error(); err != nil {
		return w.tell(nil, err)
	}
	content, err := result.Raw()
	if err != nil {
		return err
	}
	answered := &unstructured.Unstructured{}
	if err := json.Unmarshal(content, &answered.Object); err != nil {
		return err
	}
	text, err := yaml.Marshal(answered.Object["status"])
	w.answer.WriteString(w.mask(string(text)))
	return err
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
	var entries []string // the server orders them by time
	for _, entry := range got.GetManagedFields() {
		entries = append(entries, fmt.Sprintf("%s %s %s %s %s\n", entry.Manager, entry.Operation, entry.APIVersion, entry.Subresource, entry.FieldsV1.Raw))
	}
	slices.Sort(entries)
	_, err = w.answer.WriteString(strings.Join(entries, ""))
	return err
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

// stop deletes with a grace period in seconds, or the object's own; "all"
// deletes all there are.
func (w *world) stop(kind, name, grace string) error {
	resource, _, err := w.resource(kind)
	if err != nil {
		return err
	}
	options := metav1.DeleteOptions{}
	if seconds, err := strconv.ParseInt(grace, 10, 64); err == nil {
		options.GracePeriodSeconds = &seconds
	}
	if name == "all" {
		return w.done("stopped", nil, resource.DeleteCollection(w.ctx, options, metav1.ListOptions{}))
	}
	return w.done("stopped", nil, resource.Delete(w.ctx, name, options))
}

func (w *world) rawGet(path string) error {
	content, err := w.raw.Get().AbsPath(path).SetHeader("Accept", "application/json").DoRaw(w.ctx)
	if err != nil {
		return w.tell(nil, err)
	}
	object := &unstructured.Unstructured{}
	if err := json.Unmarshal(content, &object.Object); err != nil {
		return err
	}
	return w.tell(object, nil)
}
