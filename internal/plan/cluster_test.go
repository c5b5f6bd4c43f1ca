package plan

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"coxswain.dev/cox/internal/rollout"
)

// cluster is what a scenario has built so far.
type cluster struct{ in Input }

func newCluster() *cluster {
	labels := map[string]string{"app": "web"}
	replicas, limit, deadline := int32(3), int32(10), int32(600)
	return &cluster{Input{
		Now:   time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC),
		Model: Model{ReadyAfter: 5 * time.Second, StopAfter: time.Second},
		After: &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default", UID: "uid-of-web"},
			Spec: appsv1.DeploymentSpec{
				Replicas: &replicas, RevisionHistoryLimit: &limit, ProgressDeadlineSeconds: &deadline,
				Selector: &metav1.LabelSelector{MatchLabels: labels},
				Template: corev1.PodTemplateSpec{
					ObjectMeta: metav1.ObjectMeta{Labels: labels},
					Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "v1"}}},
				},
				Strategy: appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType,
					RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: bound("25%"), MaxUnavailable: bound("25%")}},
			},
		},
	}}
}

func bound(text string) *intstr.IntOrString {
	value := intstr.Parse(text)
	return &value
}

// do reads one line:
//
//	deployment [settings of change]   a change by a user, to be planned
//	runs [DURATION]                   it was made, and DURATION has passed, or as long as it took
//	model ready=DURATION stop=DURATION
//	node NAME [RESOURCE=AMOUNT …]     a node, ready
//	other NAME [RESOURCE=AMOUNT …]    a Pod on a node that is not the Deployment's
//	quota NAME [RESOURCE=AMOUNT …]    with what the Pods use of it
//	orphaned                          the Deployment was deleted without its ReplicaSets, and made again
//	deleted                           a finalizer keeps the Deployment that was deleted
//	failing REASON                    the Pods that are not ready say why
//	refused CAUSE MESSAGE             the API takes no Pod of the new template
//	unready CAUSE MESSAGE             Pods of the new template never become ready
//	fixed                             neither any more
func (c *cluster) do(line string) error {
	fields := strings.Fields(line)
	if len(fields) == 0 || strings.HasPrefix(line, "#") {
		return nil
	}
	verb, rest := fields[0], fields[1:]
	switch verb {
	case "deployment":
		return c.change(rest)
	case "runs":
		return c.pass(rest)
	case "model":
		return c.model(rest)
	case "node":
		c.in.Nodes = append(c.in.Nodes, nodeOf(rest[0], amounts(rest[1:])))
	case "other":
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "other", UID: "other"}, Spec: corev1.PodSpec{NodeName: rest[0]}}
		p.Spec.Containers = []corev1.Container{{Resources: corev1.ResourceRequirements{Requests: amounts(rest[1:])}}}
		c.in.Pods = append(c.in.Pods, p)
	case "quota":
		c.in.Quotas = append(c.in.Quotas, &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: rest[0]}, Spec: corev1.ResourceQuotaSpec{Hard: amounts(rest[1:])}})
		c.countQuotas()
	case "orphaned":
		for _, rs := range c.in.ReplicaSets {
			rs.OwnerReferences = nil
		}
		c.in.Before, c.in.After.UID, c.in.After.Annotations = nil, "uid-of-another", nil
	case "deleted":
		c.in.Before.DeletionTimestamp, c.in.After.DeletionTimestamp = &metav1.Time{Time: c.in.Now}, &metav1.Time{Time: c.in.Now}
	case "failing":
		for _, p := range c.in.Pods {
			if !isReady(p) {
				p.Status.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: rest[0]}}}}
			}
		}
	case "refused":
		c.in.Refused = &Problem{Cause: rest[0], Message: strings.Join(rest[1:], " ")}
	case "unready":
		c.in.Unready = []Problem{{Stops: true, Cause: rest[0], Message: strings.Join(rest[1:], " ")}}
	case "fixed":
		c.in.Refused, c.in.Unready = nil, nil
	default:
		return fmt.Errorf("no such verb")
	}
	return nil
}

// pass lets the planned change happen, by the planned way, for some time.
func (c *cluster) pass(args []string) error {
	w := newWorld(c.in)
	end := c.in.Now.Add(24 * time.Hour)
	if len(args) > 0 {
		by, err := time.ParseDuration(args[0])
		if err != nil {
			return err
		}
		end = c.in.Now.Add(by)
	}
	for w.settle() {
		next := w.nextEvent()
		if next.IsZero() || next.After(end) {
			break
		}
		w.now = next
	}
	var pods = c.in.Pods
	c.in.Pods, c.in.ReplicaSets = nil, w.sorted()
	for _, p := range pods {
		if metav1.GetControllerOf(p) == nil {
			c.in.Pods = append(c.in.Pods, p)
		}
	}
	for _, rs := range c.in.ReplicaSets {
		c.in.Pods = append(c.in.Pods, w.podList(rs.UID)...)
	}
	c.in.Now = w.now.Add(time.Minute)
	if len(args) > 0 {
		c.in.Now = end
	}
	c.in.Before, c.in.After = w.deployment.DeepCopy(), w.deployment.DeepCopy()
	c.countQuotas()
	return nil
}

func (c *cluster) countQuotas() {
	for _, q := range c.in.Quotas {
		q.Status = corev1.ResourceQuotaStatus{Hard: q.Spec.Hard, Used: corev1.ResourceList{}}
		left := quotasLeft([]*corev1.ResourceQuota{q})
		w := &world{quotas: left}
		for _, p := range c.in.Pods {
			w.addUsage(usageOfPod(p, c.in.Now), 1)
		}
		for range c.in.ReplicaSets {
			w.addUsage(countedReplicaSet, 1)
		}
		q.Status.Used = left[0].used
	}
}

func (c *cluster) model(settings []string) error {
	for _, setting := range settings {
		name, value, _ := strings.Cut(setting, "=")
		d, err := time.ParseDuration(value)
		if err != nil {
			return err
		}
		switch name {
		case "ready":
			c.in.Model.ReadyAfter = d
		case "stop":
			c.in.Model.StopAfter = d
		default:
			return fmt.Errorf("no such part of the model: %q", name)
		}
	}
	return nil
}

func amounts(settings []string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for _, setting := range settings {
		name, value, _ := strings.Cut(setting, "=")
		list[corev1.ResourceName(name)] = resource.MustParse(value)
	}
	return list
}

func nodeOf(name string, allocatable corev1.ResourceList) *corev1.Node {
	if _, set := allocatable[corev1.ResourcePods]; !set {
		allocatable[corev1.ResourcePods] = resource.MustParse("110")
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name}},
		Status: corev1.NodeStatus{Allocatable: allocatable, Capacity: allocatable,
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}},
	}
}

func (c *cluster) change(settings []string) error {
	c.in.After.Generation++
	spec := &c.in.After.Spec
	main := &spec.Template.Spec.Containers[0]
	for _, setting := range settings {
		name, value, _ := strings.Cut(setting, "=")
		parsed, _ := strconv.ParseInt(value, 10, 32)
		number := int32(parsed)
		switch name {
		case "team":
			metav1.SetMetaDataLabel(&c.in.After.ObjectMeta, name, value)
		case "policy":
			metav1.SetMetaDataAnnotation(&c.in.After.ObjectMeta, rollout.PodReplacementPolicyAnnotation, value)
		case "replicas":
			spec.Replicas = &number
		case "image":
			main.Image = value
		case "cpu":
			main.Resources.Requests = amounts([]string{"cpu=" + value})
		case "env":
			main.Env = []corev1.EnvVar{{Name: "MODE", Value: value}}
		case "surge":
			spec.Strategy.RollingUpdate.MaxSurge = bound(value)
		case "unavailable":
			spec.Strategy.RollingUpdate.MaxUnavailable = bound(value)
		case "strategy":
			spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.DeploymentStrategyType(value)}
		case "paused", "resumed":
			spec.Paused = name == "paused"
		case "minReady":
			spec.MinReadySeconds = number
		case "limit":
			spec.RevisionHistoryLimit = &number
		case "deadline":
			spec.ProgressDeadlineSeconds = &number
		case "hostPort":
			main.Ports = []corev1.ContainerPort{{ContainerPort: number, HostPort: number, Protocol: corev1.ProtocolTCP}}
		case "apart":
			apart := corev1.PodAffinityTerm{TopologyKey: corev1.LabelHostname, LabelSelector: spec.Selector}
			spec.Template.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{apart}}}
		case "grace":
			spec.Template.Spec.TerminationGracePeriodSeconds = &parsed
		case "sleep":
			main.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: parsed}}}
		default:
			return fmt.Errorf("no such setting of a Deployment: %q", name)
		}
	}
	return nil
}
