package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/jsonmergepatch"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/rest"

	"coxswain.dev/cox/internal/plan"
)

// planned is an update as the API would take it.
type planned struct {
	namespace, name string
	// before is nil for a new Deployment, after if the update is refused.
	before, after *appsv1.Deployment
	refused       []plan.Problem
}

// planManager is who plan's dry runs are by: kubectl apply's own name, so that
// they meet the conflicts that it would meet.
const planManager = "kubectl-client-side-apply"

// imageUpdate is what `kubectl set image` would do.
func (s *session) imageUpdate(ctx context.Context, name string, images []string) ([]*planned, error) {
	before, err := s.deployment(ctx, name)
	if err != nil {
		return nil, err
	}
	changes, err := imageChanges(before, images)
	if err != nil {
		return nil, err
	}
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"template": map[string]any{"spec": changes}}})
	if err != nil {
		return nil, err
	}
	after, err := s.AppsV1().Deployments(s.namespace).Patch(ctx, name, types.StrategicMergePatchType, patch,
		metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict, FieldManager: planManager})
	update, err := outcomeOf(&planned{namespace: s.namespace, name: name, before: before}, after, err)
	return []*planned{update}, err
}

// imageChanges are the containers with their new images, by list.
func imageChanges(d *appsv1.Deployment, images []string) (map[string]any, error) {
	lists := map[string][]corev1.Container{"initContainers": d.Spec.Template.Spec.InitContainers, "containers": d.Spec.Template.Spec.Containers}
	changes := map[string]any{}
	for _, text := range images {
		container, image, found := strings.Cut(text, "=")
		if !found || container == "" || image == "" {
			return nil, fmt.Errorf("--image %q is not CONTAINER=IMAGE, as in web=nginx:1.29", text)
		}
		var names []string
		hit := false
		for list, containers := range lists {
			for _, c := range containers {
				names = append(names, c.Name)
				if c.Name == container || container == "*" {
					before, _ := changes[list].([]map[string]string)
					changes[list], hit = append(before, map[string]string{"name": c.Name, "image": image}), true
				}
			}
		}
		if !hit {
			slices.Sort(names)
			return nil, fmt.Errorf("--image %s: deployment %q has no container %q, only %s", text, d.Name, container, strings.Join(names, ", "))
		}
	}
	return changes, nil
}

// fileUpdates is what `kubectl apply -f` would do to each Deployment.
func (s *session) fileUpdates(ctx context.Context, manifests []manifest) ([]*planned, error) {
	var all []*planned
	seen := map[types.NamespacedName]string{}
	for _, m := range manifests {
		if !m.isDeployment() {
			continue
		}
		namespace, err := s.namespaceOf(m)
		if err != nil {
			return nil, err
		}
		name := types.NamespacedName{Namespace: namespace, Name: m.Metadata.Name}
		if first := seen[name]; first != "" {
			return nil, fmt.Errorf("%s: Deployment %s is in %s already: plan one, and the other when that is done", m.source, name, first)
		}
		seen[name] = m.source
		update, err := s.applyDry(ctx, namespace, m)
		if err != nil {
			return nil, err
		}
		update.adviseNamespace(manifests)
		all = append(all, update)
	}
	return all, nil
}

// adviseNamespace says of a namespace that is missing that the files make it:
// the API tries nothing in one that is not there yet.
func (p *planned) adviseNamespace(manifests []manifest) {
	made := slices.ContainsFunc(manifests, func(m manifest) bool {
		return m.APIVersion == "v1" && m.Kind == "Namespace" && m.Metadata.Name == p.namespace
	})
	for i := range p.refused {
		if made && p.refused[i].Cause == missingNamespace {
			p.refused[i].Advice = "it is among the files: apply it alone first, and plan then"
		}
	}
}

func (s *session) namespaceOf(m manifest) (string, error) {
	switch {
	case m.Metadata.Namespace == "":
		return s.namespace, nil
	case s.isExplicit && m.Metadata.Namespace != s.namespace:
		return "", fmt.Errorf("%s: metadata.namespace is %q, and -n says %q: leave one out", m.source, m.Metadata.Namespace, s.namespace)
	default:
		return m.Metadata.Namespace, nil
	}
}

// applyDry tries a manifest without keeping it: in its own version of the API,
// as a new object or as a patch of the one that is there.
func (s *session) applyDry(ctx context.Context, namespace string, m manifest) (*planned, error) {
	update := &planned{namespace: namespace, name: m.Metadata.Name}
	path := fmt.Sprintf("/apis/%s/namespaces/%s/deployments", m.APIVersion, namespace)
	current, err := rawAnswer(ctx, s.AppsV1().RESTClient().Get().AbsPath(path, m.Metadata.Name))
	request := s.AppsV1().RESTClient().Post().AbsPath(path).Body(m.json).SetHeader("Content-Type", "application/json")
	switch {
	case apierrors.IsNotFound(err):
	case err != nil:
		return outcomeOf(update, nil, err)
	default:
		if update.before, err = s.AppsV1().Deployments(namespace).Get(ctx, m.Metadata.Name, metav1.GetOptions{}); err != nil {
			return nil, err
		}
		if problem, wrong := wrongType(m); wrong {
			update.refused = []plan.Problem{problem}
			return update, nil
		}
		kind, patch, err := threeWayPatch(m, current)
		if err != nil {
			return nil, fmt.Errorf("%s: comparing it with the Deployment that is there: %w", m.source, err)
		}
		request = s.AppsV1().RESTClient().Patch(kind).AbsPath(path, m.Metadata.Name).Body(patch)
	}
	answer, err := rawAnswer(ctx, request.Param("dryRun", metav1.DryRunAll).
		Param("fieldValidation", metav1.FieldValidationStrict).Param("fieldManager", planManager))
	if err != nil {
		return outcomeOf(update, nil, err)
	}
	after := &appsv1.Deployment{}
	if err := json.Unmarshal(answer, after); err != nil {
		return nil, fmt.Errorf("%s: the API's answer: %w", m.source, err)
	}
	return outcomeOf(update, after, nil)
}

// rawAnswer is the API's answer in JSON, or its error as the API says it.
func rawAnswer(ctx context.Context, request *rest.Request) ([]byte, error) {
	result := request.SetHeader("Accept", "application/json").Do(ctx)
	if err := result.Error(); err != nil {
		return nil, err
	}
	return result.Raw()
}

// threeWayPatch is what kubectl apply sends: what the manifest says, without
// what the manifest before said and this one does not.
func threeWayPatch(m manifest, current []byte) (types.PatchType, []byte, error) {
	var live metav1.PartialObjectMetadata
	if err := json.Unmarshal(current, &live); err != nil {
		return "", nil, err
	}
	applied := []byte(live.Annotations[corev1.LastAppliedConfigAnnotation])
	if len(applied) == 0 {
		applied = nil
	}
	wanted, err := asApplied(m, live.Namespace)
	if err != nil {
		return "", nil, err
	}
	schema, err := strategicpatch.NewPatchMetaFromStruct(appsv1.Deployment{})
	if err != nil {
		return "", nil, err
	}
	patch, err := strategicpatch.CreateThreeWayMergePatch(applied, wanted, current, schema, true)
	if err == nil {
		return types.StrategicMergePatchType, patch, nil
	}
	// A field that no Deployment has: let the API say so.
	patch, err = jsonmergepatch.CreateThreeWayJSONMergePatch(applied, wanted, current)
	return types.MergePatchType, patch, err
}

// asApplied is a manifest as kubectl apply remembers it: with its namespace,
// and with annotations even if there are none. Without them, those that others
// made would count as left out of the manifest.
func asApplied(m manifest, namespace string) ([]byte, error) {
	var object map[string]any
	if err := json.Unmarshal(m.json, &object); err != nil {
		return nil, err
	}
	metadata, _ := object["metadata"].(map[string]any)
	if metadata == nil { // one without a name was refused already
		return m.json, nil
	}
	metadata["namespace"] = namespace
	annotations, _ := metadata["annotations"].(map[string]any)
	if annotations == nil {
		annotations = map[string]any{}
	}
	delete(annotations, corev1.LastAppliedConfigAnnotation)
	metadata["annotations"] = annotations
	return json.Marshal(object)
}
