package core

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// PodWarnings says what is accepted in a new Pod, but hardly meant.
func PodWarnings(pod *corev1.Pod) []string {
	w := warnings{spec: &pod.Spec, annotations: pod.Annotations}
	if wrong := validation.IsDNS1123Label(pod.Name); pod.Name != "" && len(wrong) > 0 {
		w.add("metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: %v", wrong)
	}
	return w.ofPod()
}

// ControllerWarnings says the same of a controller: of its name, from which its
// Pods' names are made, when it is new, and of its template, in spec.template,
// when that may have changed. old is nil for a new one.
func ControllerWarnings[O interface {
	comparable
	metav1.Object
}](obj, old O, template *corev1.PodTemplateSpec) []string {
	var none O
	if template == nil || old != none && obj.GetGeneration() == old.GetGeneration() {
		return nil
	}
	var w warnings
	if wrong := validation.IsDNS1123Label(obj.GetName()); old == none && obj.GetName() != "" && len(wrong) > 0 {
		w.add("metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: %v", wrong)
	}
	return append(w.found, TemplateWarnings(template, field.NewPath("spec", "template"))...)
}

// TemplateWarnings says what is hardly meant in a template.
func TemplateWarnings(template *corev1.PodTemplateSpec, path *field.Path) []string {
	w := warnings{spec: &template.Spec, annotations: template.Annotations, root: path}
	return w.ofPod()
}

// warnings collects them. Their words are upstream's.
type warnings struct {
	spec        *corev1.PodSpec
	annotations map[string]string
	// root is where the Pod is, nil for a Pod that is the object itself.
	root  *field.Path
	found []string
}

func (w *warnings) add(format string, args ...any) {
	w.found = append(w.found, fmt.Sprintf(format, args...))
}

func (w *warnings) ofPod() []string {
	path := w.root.Child("spec")
	w.oldLabels(path)
	w.oldAnnotations()
	w.oldVolumes(path.Child("volumes"))
	w.repeated(path)
	w.fractions(w.spec.Overhead, path.Child("overhead"))
	w.ofContainers(path)
	if seconds := w.spec.TerminationGracePeriodSeconds; seconds != nil && *seconds < 0 {
		w.add("%s: must be >= 0; negative values are invalid and will be treated as 1", path.Child("terminationGracePeriodSeconds"))
	}
	w.selectsNone(path)
	return w.found
}

// oldNodeLabels are labels of nodes that were replaced.
var oldNodeLabels = map[string]string{
	"beta.kubernetes.io/arch":                  `deprecated since v1.14; use "kubernetes.io/arch" instead`,
	"beta.kubernetes.io/os":                    `deprecated since v1.14; use "kubernetes.io/os" instead`,
	"failure-domain.beta.kubernetes.io/region": `deprecated since v1.17; use "topology.kubernetes.io/region" instead`,
	"failure-domain.beta.kubernetes.io/zone":   `deprecated since v1.17; use "topology.kubernetes.io/zone" instead`,
	"beta.kubernetes.io/instance-type":         `deprecated since v1.17; use "node.kubernetes.io/instance-type" instead`,
}

// oldLabels looks where nodes are chosen.
func (w *warnings) oldLabels(path *field.Path) {
	for _, key := range sets.List(sets.KeySet(w.spec.NodeSelector)) {
		if message := oldNodeLabels[key]; message != "" {
			w.add("%s: %s", path.Child("nodeSelector").Key(key), message)
		}
	}
	for i, constraint := range w.spec.TopologySpreadConstraints {
		if message := oldNodeLabels[constraint.TopologyKey]; message != "" {
			w.add("%s: %s is %s", path.Child("topologySpreadConstraints").Index(i).Child("topologyKey"), constraint.TopologyKey, message)
		}
	}
	if w.spec.Affinity == nil || w.spec.Affinity.NodeAffinity == nil {
		return
	}
	affinity, at := w.spec.Affinity.NodeAffinity, path.Child("affinity", "nodeAffinity")
	if required := affinity.RequiredDuringSchedulingIgnoredDuringExecution; required != nil {
		for i, term := range required.NodeSelectorTerms {
			w.oldLabelsOf(term, at.Child("requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms").Index(i))
		}
	}
	for i, preferred := range affinity.PreferredDuringSchedulingIgnoredDuringExecution {
		w.oldLabelsOf(preferred.Preference, at.Child("preferredDuringSchedulingIgnoredDuringExecution").Index(i).Child("preference"))
	}
}

func (w *warnings) oldLabelsOf(term corev1.NodeSelectorTerm, path *field.Path) {
	for i, expression := range term.MatchExpressions {
		if message := oldNodeLabels[expression.Key]; message != "" {
			w.add("%s: %s is %s", path.Child("matchExpressions").Index(i).Child("key"), expression.Key, message)
		}
	}
}

// oldAnnotations looks for those that do nothing any more.
func (w *warnings) oldAnnotations() {
	for _, old := range []struct{ key, message string }{
		{"scheduler.alpha.kubernetes.io/critical-pod", `non-functional in v1.16+; use the "priorityClassName" field instead`},
		{"security.alpha.kubernetes.io/sysctls", `non-functional in v1.11+; use the "sysctls" field instead`},
		{"security.alpha.kubernetes.io/unsafe-sysctls", `non-functional in v1.11+; use the "sysctls" field instead`},
	} {
		w.annotated(old.key, old.message)
	}
	if security := w.spec.SecurityContext; security == nil || security.SeccompProfile == nil {
		w.annotated(corev1.SeccompPodAnnotationKey, `non-functional in v1.27+; use the "seccompProfile" field instead`)
	}
}

func (w *warnings) annotated(key, message string) {
	if _, found := w.annotations[key]; found {
		w.add("%s: %s", w.root.Child("metadata", "annotations").Key(key), message)
	}
}

// oldVolumes looks for kinds of volumes that are no more.
func (w *warnings) oldVolumes(path *field.Path) {
	for i, volume := range w.spec.Volumes {
		for _, old := range []struct {
			used          bool
			name, message string
		}{
			{volume.PhotonPersistentDisk != nil, "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"},
			{volume.GitRepo != nil, "gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"},
			{volume.ScaleIO != nil, "scaleIO", "deprecated in v1.16, non-functional in v1.22+"},
			{volume.Flocker != nil, "flocker", "deprecated in v1.22, non-functional in v1.25+"},
			{volume.StorageOS != nil, "storageOS", "deprecated in v1.22, non-functional in v1.25+"},
			{volume.Quobyte != nil, "quobyte", "deprecated in v1.22, non-functional in v1.25+"},
			{volume.Glusterfs != nil, "glusterfs", "deprecated in v1.25, non-functional in v1.26+"},
			{volume.CephFS != nil, "cephfs", "deprecated in v1.28, non-functional in v1.31+"},
			{volume.RBD != nil, "rbd", "deprecated in v1.28, non-functional in v1.31+"},
		} {
			if old.used {
				w.add("%s: %s", path.Index(i).Child(old.name), old.message)
			}
		}
	}
}

// repeated looks for entries of lists that hide each other.
func (w *warnings) repeated(path *field.Path) {
	addresses, names := sets.New[string](), sets.New[string]()
	for i, alias := range w.spec.HostAliases {
		if addresses.Has(alias.IP) {
			w.add("%s: duplicate ip %q", path.Child("hostAliases").Index(i).Child("ip"), alias.IP)
		}
		addresses.Insert(alias.IP)
	}
	for i, secret := range w.spec.ImagePullSecrets {
		at := path.Child("imagePullSecrets").Index(i).Child("name")
		if names.Has(secret.Name) {
			w.add("%s: duplicate name %q", at, secret.Name)
		}
		if secret.Name == "" {
			w.add("%s: invalid empty name %q", at, secret.Name)
		}
		names.Insert(secret.Name)
	}
}

// fractions looks for bytes that are none.
func (w *warnings) fractions(amounts corev1.ResourceList, path *field.Path) {
	for _, name := range []corev1.ResourceName{corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		if amount, found := amounts[name]; found && isFraction(amount) {
			w.add("%s: fractional byte value %q is invalid, must be an integer", path.Key(string(name)), amount.String())
		}
	}
}

func isFraction(amount resource.Quantity) bool { return amount.MilliValue()%1000 != 0 }

// ofContainers looks at each container, and at what they have in common.
func (w *warnings) ofContainers(path *field.Path) {
	ports := portsSeen{}
	visit := func(list []corev1.Container, name string) {
		for i := range list {
			w.ofContainer(&list[i], path.Child(name).Index(i))
			w.ports(&list[i], path.Child(name).Index(i).Child("ports"), ports)
		}
	}
	visit(w.spec.InitContainers, "initContainers")
	visit(w.spec.Containers, "containers")
}

func (w *warnings) ofContainer(c *corev1.Container, path *field.Path) {
	if c.SecurityContext == nil || c.SecurityContext.SeccompProfile == nil {
		w.annotated(corev1.SeccompContainerAnnotationKeyPrefix+c.Name, `non-functional in v1.27+; use the "seccompProfile" field instead`)
	}
	w.fractions(c.Resources.Limits, path.Child("resources", "limits"))
	w.fractions(c.Resources.Requests, path.Child("resources", "requests"))
	names := sets.New[string]()
	for i, env := range c.Env {
		reference := "$(" + env.Name + ")"
		// One that is made from the definition before it does not hide it.
		extends := env.ValueFrom == nil && env.Value != reference && strings.Contains(env.Value, reference)
		if names.Has(env.Name) && !extends {
			w.add("%s: hides previous definition of %q, which may be dropped when using apply", path.Child("env").Index(i), env.Name)
		}
		names.Insert(env.Name)
	}
}

// portsSeen are the ports so far, by number and protocol.
type portsSeen map[string][]portSeen

type portSeen struct {
	corev1.ContainerPort
	at *field.Path
}

// ports compares ports with those of all containers: they are in one network.
func (w *warnings) ports(c *corev1.Container, path *field.Path, seen portsSeen) {
	for i, port := range c.Ports {
		at := path.Index(i)
		if port.HostIP != "" && port.HostPort == 0 {
			w.add("%s: hostIP set without hostPort: %+v", at, port)
		}
		key := fmt.Sprintf("%d/%s", port.ContainerPort, port.Protocol)
		for _, other := range seen[key] {
			switch {
			case port.HostIP == other.HostIP && port.HostPort == other.HostPort:
				w.add("%s: duplicate port definition with %s", at, other.at)
			case port.HostPort == 0 || other.HostPort == 0:
				w.add("%s: overlapping port definition with %s", at, other.at)
			case port.HostPort == other.HostPort && (port.HostIP == "") != (other.HostIP == ""):
				w.add("%s: dangerously ambiguous port definition with %s", at, other.at)
			}
		}
		seen[key] = append(seen[key], portSeen{port, at})
	}
}

// selectsNone looks for selectors that match no Pod because they are left out.
func (w *warnings) selectsNone(path *field.Path) {
	for i, constraint := range w.spec.TopologySpreadConstraints {
		w.selector(constraint.LabelSelector, path.Child("topologySpreadConstraints").Index(i))
	}
	if w.spec.Affinity == nil {
		return
	}
	terms := func(required []corev1.PodAffinityTerm, preferred []corev1.WeightedPodAffinityTerm, path *field.Path) {
		for i, term := range required {
			w.selector(term.LabelSelector, path.Child("requiredDuringSchedulingIgnoredDuringExecution").Index(i))
		}
		for i, term := range preferred {
			w.selector(term.PodAffinityTerm.LabelSelector, path.Child("preferredDuringSchedulingIgnoredDuringExecution").Index(i).Child("podAffinityTerm"))
		}
	}
	if near := w.spec.Affinity.PodAffinity; near != nil {
		terms(near.RequiredDuringSchedulingIgnoredDuringExecution, near.PreferredDuringSchedulingIgnoredDuringExecution, path.Child("affinity", "podAffinity"))
	}
	if apart := w.spec.Affinity.PodAntiAffinity; apart != nil {
		terms(apart.RequiredDuringSchedulingIgnoredDuringExecution, apart.PreferredDuringSchedulingIgnoredDuringExecution, path.Child("affinity", "podAntiAffinity"))
	}
}

func (w *warnings) selector(selector *metav1.LabelSelector, path *field.Path) {
	if selector == nil {
		w.add("%s: a null labelSelector results in matching no pod", path.Child("labelSelector"))
	}
}
