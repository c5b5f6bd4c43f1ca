package cli

import (
	"fmt"
	"maps"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"coxswain.dev/cox/internal/plan"
)

// findReferences looks for what the Pods need: in the cluster, and among the
// manifests, which are there when the Deployment is.
func (o *observer) findReferences(manifests []manifest) {
	references := plan.References(&o.in.After.Spec.Template.Spec)
	found := plan.Found{}
	for _, reference := range references {
		if _, known := found[reference.Target]; known {
			continue
		}
		if keys, given := o.given(reference.Target, manifests); given {
			found[reference.Target] = keys
			continue
		}
		keys, err := o.keysOf(reference.Target)
		switch {
		case err == nil:
			found[reference.Target] = keys
		case !apierrors.IsNotFound(err):
			found[reference.Target] = nil
			o.seen(fmt.Sprintf("%s %s", reference.Kind, reference.Name), "whether it is there is not foreseen", err)
		}
	}
	refused, unready, notes := plan.Missing(references, found, o.in.After.Namespace)
	if refused != nil {
		// Said better than by the API.
		o.in.Refused = refused
	}
	o.in.Unready = slices.Concat(o.in.Unready, plan.Unstartable(&o.in.After.Spec.Template.Spec), unready)
	o.in.Notes = append(o.in.Notes, notes...)
}

// keysOf are the keys of an object in the cluster.
func (o *observer) keysOf(target plan.Target) ([]string, error) {
	namespace := o.in.After.Namespace
	switch target.Kind {
	case "ConfigMap":
		object, err := o.CoreV1().ConfigMaps(namespace).Get(o.ctx, target.Name, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		return append(slices.AppendSeq([]string{}, maps.Keys(object.Data)), slices.Collect(maps.Keys(object.BinaryData))...), nil
	case "Secret":
		object, err := o.CoreV1().Secrets(namespace).Get(o.ctx, target.Name, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		return slices.AppendSeq([]string{}, maps.Keys(object.Data)), nil
	default:
		_, err := o.CoreV1().ServiceAccounts(namespace).Get(o.ctx, target.Name, metav1.GetOptions{})
		return nil, err
	}
}

// given looks for an object among the manifests.
func (o *observer) given(target plan.Target, manifests []manifest) (keys []string, found bool) {
	for _, m := range manifests {
		namespace, err := o.namespaceOf(m)
		if err != nil || m.APIVersion != "v1" || m.Kind != target.Kind || m.Metadata.Name != target.Name || namespace != o.in.After.Namespace {
			continue
		}
		var content struct {
			Data, StringData, BinaryData map[string]string
		}
		if err := yaml.Unmarshal(m.json, &content); err != nil {
			return nil, true
		}
		keys = []string{}
		for _, data := range []map[string]string{content.Data, content.StringData, content.BinaryData} {
			keys = slices.AppendSeq(keys, maps.Keys(data))
		}
		return keys, true
	}
	return nil, false
}
