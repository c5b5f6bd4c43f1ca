package plan

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Target is an object that a Pod needs, in its own namespace.
type Target struct {
	// Kind is ConfigMap, Secret or ServiceAccount.
	Kind, Name string
}

// Reference is where a Pod names a Target.
type Reference struct {
	Target
	// Key is the one that is needed of a ConfigMap or Secret; empty for all.
	Key string
	// Field is the path below spec.template.spec.
	Field string
	// PullSecret tells that the Pod starts without it, if the image can be
	// pulled without it.
	PullSecret bool
}

// References returns what a Pod of the spec cannot do without, in the order in
// which it is written.
func References(spec *corev1.PodSpec) []Reference {
	var r references
	account := spec.ServiceAccountName
	if account == "" {
		account = "default"
	}
	r.add("ServiceAccount", account, "", "serviceAccountName", nil)
	for _, secret := range spec.ImagePullSecrets {
		r.all = append(r.all, Reference{Target: Target{"Secret", secret.Name}, Field: fmt.Sprintf("imagePullSecrets[%s]", secret.Name), PullSecret: true})
	}
	for _, volume := range spec.Volumes {
		r.ofVolume(volume)
	}
	for _, container := range spec.InitContainers {
		r.ofContainer("initContainers", container)
	}
	for _, container := range spec.Containers {
		r.ofContainer("containers", container)
	}
	return r.all
}

type references struct{ all []Reference }

func (r *references) add(kind, name, key, field string, optional *bool) {
	if name != "" && (optional == nil || !*optional) {
		r.all = append(r.all, Reference{Target: Target{kind, name}, Key: key, Field: field})
	}
}

func (r *references) ofVolume(volume corev1.Volume) {
	at := fmt.Sprintf("volumes[%s]", volume.Name)
	if c := volume.ConfigMap; c != nil {
		r.addItems("ConfigMap", c.Name, at+".configMap", c.Items, c.Optional)
	}
	if s := volume.Secret; s != nil {
		r.addItems("Secret", s.SecretName, at+".secret", s.Items, s.Optional)
	}
	if volume.Projected == nil {
		return
	}
	for i, source := range volume.Projected.Sources {
		at := fmt.Sprintf("%s.projected.sources[%d]", at, i)
		if c := source.ConfigMap; c != nil {
			r.addItems("ConfigMap", c.Name, at+".configMap", c.Items, c.Optional)
		}
		if s := source.Secret; s != nil {
			r.addItems("Secret", s.Name, at+".secret", s.Items, s.Optional)
		}
	}
}

func (r *references) addItems(kind, name, at string, items []corev1.KeyToPath, optional *bool) {
	if len(items) == 0 {
		r.add(kind, name, "", at, optional)
	}
	for _, item := range items {
		r.add(kind, name, item.Key, at, optional)
	}
}

func (r *references) ofContainer(list string, container corev1.Container) {
	at := fmt.Sprintf("%s[%s]", list, container.Name)
	for i, from := range container.EnvFrom {
		at := fmt.Sprintf("%s.envFrom[%d]", at, i)
		if c := from.ConfigMapRef; c != nil {
			r.add("ConfigMap", c.Name, "", at+".configMapRef", c.Optional)
		}
		if s := from.SecretRef; s != nil {
			r.add("Secret", s.Name, "", at+".secretRef", s.Optional)
		}
	}
	for _, env := range container.Env {
		if env.ValueFrom == nil {
			continue
		}
		at := fmt.Sprintf("%s.env[%s].valueFrom", at, env.Name)
		if c := env.ValueFrom.ConfigMapKeyRef; c != nil {
			r.add("ConfigMap", c.Name, c.Key, at+".configMapKeyRef", c.Optional)
		}
		if s := env.ValueFrom.SecretKeyRef; s != nil {
			r.add("Secret", s.Name, s.Key, at+".secretKeyRef", s.Optional)
		}
	}
}

// Found are the keys of the objects that are there; nil if they may not be
// seen. What is not in it is missing.
type Found map[Target][]string

// Missing divides what is not there by what it does: refused is why the API
// would take no Pod, unready are reasons for which Pods would never become
// ready, notes are only to be known.
func Missing(refs []Reference, found Found, namespace string) (refused *Problem, unready, notes []Problem) {
	for _, ref := range refs {
		keys, there := found[ref.Target]
		where := fmt.Sprintf("%s %s/%s, which %s names,", ref.Kind, namespace, ref.Name, ref.Field)
		problem := Problem{Stops: true, Cause: ref.Kind, Message: where + " does not exist", Advice: "create it first: the Pods start when it is there"}
		switch {
		case there && (ref.Key == "" || keys == nil || slices.Contains(keys, ref.Key)):
		case there:
			problem.Message = fmt.Sprintf("%s has no key %q", where, ref.Key)
			problem.Advice = "add the key, or mark the reference as optional"
			unready = append(unready, problem)
		case ref.PullSecret:
			problem.Stops, problem.Cause, problem.Advice = false, "ImagePullSecret", "create it, or a private image cannot be pulled"
			notes = append(notes, problem)
		case ref.Kind == "ServiceAccount":
			problem.Advice = "create it first: the API refuses Pods without it"
			if refused == nil {
				refused = &problem
			}
		default:
			unready = append(unready, problem)
		}
	}
	return refused, unready, notes
}
