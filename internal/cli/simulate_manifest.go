package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	jsonserializer "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"coxswain.dev/cox/internal/apis/apps"
	"coxswain.dev/cox/internal/apis/nearfields"
	"coxswain.dev/cox/internal/sim"
)

// readDeployments reads the Deployment and what it becomes.
func (f simulateFlags) readDeployments(s *sim.Scenario, name string, stdin io.Reader) error {
	first, err := chosenManifest("-f", f.files, name, stdin)
	if err != nil {
		return err
	}
	if s.Deployment, err = created(first); err != nil {
		return err
	}
	current := s.Deployment
	for _, file := range f.updates {
		next, err := chosenManifest("--update", []string{file}, first.Metadata.Name, stdin)
		if err != nil {
			return err
		}
		if namespace := cmp.Or(next.Metadata.Namespace, current.Namespace); namespace != current.Namespace {
			return fmt.Errorf("%s: metadata.namespace is %q, and the Deployment is in %q", next.source, namespace, current.Namespace)
		}
		if current, err = applied(next, current); err != nil {
			return err
		}
		s.Updates = append(s.Updates, sim.Update{Title: file, Deployment: current})
	}
	if len(f.images) > 0 {
		if current, err = withImages(current, f.images); err != nil {
			return err
		}
		s.Updates = append(s.Updates, sim.Update{Title: "--image " + strings.Join(f.images, " "), Deployment: current})
	}
	return nil
}

// chosenManifest is the one Deployment of the files, or the one of a name.
func chosenManifest(flag string, files []string, name string, stdin io.Reader) (manifest, error) {
	all, err := readManifests(flag, files, stdin)
	if err != nil {
		return manifest{}, err
	}
	var found []manifest
	var names []string
	for _, m := range all {
		if !m.isDeployment() {
			continue
		}
		names = append(names, m.Metadata.Name)
		if name == "" || m.Metadata.Name == name {
			found = append(found, m)
		}
	}
	where := strings.Join(files, ", ")
	switch {
	case len(found) == 0:
		return manifest{}, fmt.Errorf("there is no Deployment %q in %s, only %s", name, where, strings.Join(names, ", "))
	case len(found) > 1 && len(slices.Compact(slices.Sorted(slices.Values(names)))) > 1 && name == "":
		return manifest{}, fmt.Errorf("there are several Deployments in %s: choose one of deploy/%s", where, strings.Join(names, ", deploy/"))
	case len(found) > 1:
		return manifest{}, fmt.Errorf("there are %d Deployments %q in %s: leave one", len(found), found[0].Metadata.Name, where)
	}
	return found[0], nil
}

// deploymentVersions are the versions that a Deployment may be written in.
var deploymentVersions = sync.OnceValue(func() *runtime.Scheme {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{appsv1.AddToScheme, apps.AddOlderVersions} {
		if err := add(scheme); err != nil {
			panic(err)
		}
	}
	return scheme
})

// decoded reads a manifest as the API does with strict field validation, in
// the version it is written in.
func decoded(m manifest) (*appsv1.Deployment, error) {
	scheme := deploymentVersions()
	decoder := jsonserializer.NewSerializerWithOptions(jsonserializer.DefaultMetaFactory, scheme, scheme, jsonserializer.SerializerOptions{Strict: true})
	object, _, err := decoder.Decode(m.json, nil, nil)
	switch {
	case runtime.IsNotRegisteredError(err):
		return nil, fmt.Errorf("%s, Deployment %s, has apiVersion: %s; write apiVersion: apps/v1", m.source, m.Metadata.Name, m.APIVersion)
	case runtime.IsStrictDecodingError(err):
		complaint := nearfields.Suggest(strings.TrimPrefix(err.Error(), strictError), reflect.TypeOf(object))
		return nil, fmt.Errorf("%s, Deployment %s: %s", m.source, m.Metadata.Name, complaint)
	case err != nil:
		return nil, fmt.Errorf("%s, Deployment %s: %s", m.source, m.Metadata.Name, jsonMistake(err))
	}
	if d, ok := object.(*appsv1.Deployment); ok {
		return d, nil
	}
	scheme.Default(object)
	d := &appsv1.Deployment{}
	return d, scheme.Convert(object, d, nil)
}

// defaultedAs fills in what an older version does where something was taken
// out: its selector, for one.
func defaultedAs(version string, d *appsv1.Deployment) error {
	if version == appsv1.SchemeGroupVersion.String() {
		return nil
	}
	scheme := deploymentVersions()
	older, err := scheme.New(schema.FromAPIVersionAndKind(version, "Deployment"))
	if err != nil {
		return err
	}
	if err := scheme.Convert(d, older, nil); err != nil {
		return err
	}
	scheme.Default(older)
	*d = appsv1.Deployment{}
	return scheme.Convert(older, d, nil)
}

// created is what the API would store of a new Deployment.
func created(m manifest) (*appsv1.Deployment, error) {
	d, err := decoded(m)
	if err != nil {
		return nil, err
	}
	d.Namespace = cmp.Or(d.Namespace, metav1.NamespaceDefault)
	remember(d, m)
	return completed(d, nil, m.source)
}

// remember notes what was applied, as kubectl apply does.
func remember(d *appsv1.Deployment, m manifest) {
	metav1.SetMetaDataAnnotation(&d.ObjectMeta, corev1.LastAppliedConfigAnnotation, string(m.json))
}

// applied is what kubectl apply would make of the Deployment.
func applied(m manifest, current *appsv1.Deployment) (*appsv1.Deployment, error) {
	if _, err := decoded(m); err != nil {
		return nil, err
	}
	stored, err := json.Marshal(current)
	if err != nil {
		return nil, err
	}
	_, patch, err := threeWayPatch(m, stored)
	if err != nil {
		return nil, fmt.Errorf("%s: comparing it with the Deployment before: %w", m.source, err)
	}
	d, err := patched(stored, patch)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.source, err)
	}
	if err := defaultedAs(m.APIVersion, d); err != nil {
		return nil, fmt.Errorf("%s: %w", m.source, err)
	}
	remember(d, m)
	return completed(d, current, m.source)
}

// withImages is what kubectl set image would make of the Deployment.
func withImages(current *appsv1.Deployment, images []string) (*appsv1.Deployment, error) {
	changes, err := imageChanges(current, images)
	if err != nil {
		return nil, err
	}
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"template": map[string]any{"spec": changes}}})
	if err != nil {
		return nil, err
	}
	stored, err := json.Marshal(current)
	if err != nil {
		return nil, err
	}
	d, err := patched(stored, patch)
	if err != nil {
		return nil, err
	}
	return completed(d, current, "--image")
}

func patched(stored, patch []byte) (*appsv1.Deployment, error) {
	after, err := strategicpatch.StrategicMergePatch(stored, patch, appsv1.Deployment{})
	if err != nil {
		return nil, err
	}
	d := &appsv1.Deployment{}
	return d, json.Unmarshal(after, d)
}

// completed fills in the defaults and checks every field, as the API does;
// before is nil for a new Deployment.
func completed(d, before *appsv1.Deployment, source string) (*appsv1.Deployment, error) {
	d.Status, d.Spec.Template.CreationTimestamp = appsv1.DeploymentStatus{}, metav1.Time{}
	apps.SetDeploymentDefaults(d)
	errs := apivalidation.ValidateObjectMeta(&d.ObjectMeta, true, apivalidation.NameIsDNSSubdomain, field.NewPath("metadata"))
	if before == nil {
		errs = append(errs, apps.ValidateDeployment(d)...)
	} else {
		errs = append(errs, apps.ValidateDeploymentUpdate(d, before)...)
	}
	if len(errs) == 0 {
		return d, nil
	}
	text := ""
	for _, err := range errs {
		text += "\n  " + err.Error()
	}
	return nil, fmt.Errorf("%s, Deployment %s, would be refused:%s", source, d.Name, text)
}
