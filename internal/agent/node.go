package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

// registerPause is between tries to reach the API.
const registerPause = 500 * time.Millisecond

// register makes the Node or brings it up to date. It is written once: nothing
// ticks, and an idle node costs nothing.
func (a *Agent) register(ctx context.Context) error {
	for {
		err := a.registerOnce(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ended(ctx)
		}
		if apierrors.IsForbidden(err) || apierrors.IsInvalid(err) {
			return fmt.Errorf("registering node %q: %w", a.config.NodeName, err)
		}
		a.log.Warn("registering the node did not work, trying again", "error", err)
		select {
		case <-ctx.Done():
			return ended(ctx)
		case <-time.After(registerPause):
		}
	}
}

func (a *Agent) registerOnce(ctx context.Context) error {
	nodes := a.config.Client.CoreV1().Nodes()
	wanted, err := a.nodeObject(ctx)
	if err != nil {
		return err
	}
	found, err := nodes.Get(ctx, a.config.NodeName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		found, err = nodes.Create(ctx, wanted, metav1.CreateOptions{})
	}
	if err != nil {
		return err
	}
	updated := found.DeepCopy()
	updated.Labels = merged(found.Labels, wanted.Labels)
	if updated.Spec.PodCIDR == "" {
		updated.Spec.PodCIDR, updated.Spec.PodCIDRs = wanted.Spec.PodCIDR, wanted.Spec.PodCIDRs
	}
	if !equality.Semantic.DeepEqual(found, updated) {
		if found, err = nodes.Update(ctx, updated, metav1.UpdateOptions{}); err != nil {
			return err
		}
	}
	return a.patchNodeStatus(ctx, found, wanted.Status)
}

func merged(into, from map[string]string) map[string]string {
	all := map[string]string{}
	for _, labels := range []map[string]string{into, from} {
		for key, value := range labels {
			all[key] = value
		}
	}
	return all
}

func (a *Agent) patchNodeStatus(ctx context.Context, node *corev1.Node, status corev1.NodeStatus) error {
	status.Conditions = keepTimes(status.Conditions, node.Status.Conditions)
	status.Images, status.VolumesInUse, status.VolumesAttached = node.Status.Images, node.Status.VolumesInUse, node.Status.VolumesAttached
	if equality.Semantic.DeepEqual(node.Status, status) {
		return nil
	}
	old, err := json.Marshal(&corev1.Node{Status: node.Status})
	if err != nil {
		return err
	}
	next, err := json.Marshal(&corev1.Node{Status: status})
	if err != nil {
		return err
	}
	patch, err := strategicpatch.CreateTwoWayMergePatch(old, next, &corev1.Node{})
	if err != nil {
		return err
	}
	_, err = a.config.Client.CoreV1().Nodes().Patch(ctx, node.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	return err
}

// keepTimes keeps the times of conditions that say what they said before, and
// the conditions of others.
func keepTimes(conditions, old []corev1.NodeCondition) []corev1.NodeCondition {
	ours := map[corev1.NodeConditionType]bool{}
	for i := range conditions {
		ours[conditions[i].Type] = true
		for _, before := range old {
			if before.Type == conditions[i].Type && before.Status == conditions[i].Status && before.Reason == conditions[i].Reason {
				conditions[i].LastTransitionTime, conditions[i].LastHeartbeatTime = before.LastTransitionTime, before.LastHeartbeatTime
			}
		}
	}
	for _, before := range old {
		if !ours[before.Type] {
			conditions = append(conditions, before)
		}
	}
	return conditions
}

// nodeObject is the Node as it is to be.
func (a *Agent) nodeObject(ctx context.Context) (*corev1.Node, error) {
	version, err := a.runtime.Version(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("asking the container runtime for its version: %w", err)
	}
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: a.config.NodeName, Labels: map[string]string{
			corev1.LabelHostname:      a.config.NodeName,
			corev1.LabelOSStable:      "linux",
			corev1.LabelArchStable:    a.node.info.Architecture,
			"beta.kubernetes.io/os":   "linux",
			"beta.kubernetes.io/arch": a.node.info.Architecture,
		}},
		Status: corev1.NodeStatus{
			Capacity:    a.node.capacity,
			Allocatable: a.node.capacity,
			Addresses: []corev1.NodeAddress{
				{Type: corev1.NodeInternalIP, Address: a.config.NodeIP},
				{Type: corev1.NodeHostName, Address: a.config.NodeName},
			},
			NodeInfo:   a.node.info,
			Conditions: nodeConditions(metav1.NewTime(time.Now().Truncate(time.Second))),
		},
	}
	node.Status.NodeInfo.ContainerRuntimeVersion = version.RuntimeName + "://" + runtimeVersion(version.RuntimeVersion)
	node.Status.NodeInfo.KubeletVersion = Version
	if a.config.PodCIDR.IsValid() {
		node.Spec.PodCIDR = a.config.PodCIDR.String()
		node.Spec.PodCIDRs = []string{a.config.PodCIDR.String()}
	}
	return node, nil
}

// runtimeVersion is without the v that some runtimes put before it.
func runtimeVersion(version string) string {
	if len(version) > 1 && version[0] == 'v' {
		return version[1:]
	}
	return version
}

func nodeConditions(now metav1.Time) []corev1.NodeCondition {
	condition := func(kind corev1.NodeConditionType, status corev1.ConditionStatus, reason, message string) corev1.NodeCondition {
		return corev1.NodeCondition{Type: kind, Status: status, Reason: reason, Message: message, LastHeartbeatTime: now, LastTransitionTime: now}
	}
	return []corev1.NodeCondition{
		condition(corev1.NodeMemoryPressure, corev1.ConditionFalse, "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
		condition(corev1.NodeDiskPressure, corev1.ConditionFalse, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
		condition(corev1.NodePIDPressure, corev1.ConditionFalse, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
		condition(corev1.NodeReady, corev1.ConditionTrue, "KubeletReady", "kubelet is posting ready status"),
	}
}
