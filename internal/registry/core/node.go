package core

import (
	"context"
	"sort"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	api "coxswain.dev/cox/internal/apis/core"
	"coxswain.dev/cox/internal/registry"
)

func node(nodes NodeDialer) registry.Kind[*corev1.Node] {
	return registry.Kind[*corev1.Node]{
		Version: corev1.SchemeGroupVersion, Resource: "nodes", Singular: "node", ShortNames: []string{"no"}, ClusterScoped: true,
		New:              func() *corev1.Node { return &corev1.Node{} },
		NewList:          func() runtime.Object { return &corev1.NodeList{} },
		PrepareForUpdate: func(_ context.Context, obj, old *corev1.Node) { obj.Status = old.Status },
		Validate:         func(_ context.Context, obj *corev1.Node) field.ErrorList { return api.ValidateNode(obj) },
		ValidateUpdate: func(_ context.Context, obj, old *corev1.Node) field.ErrorList {
			return api.ValidateNodeUpdate(obj, old)
		},
		Status: &registry.Status[*corev1.Node]{
			PrepareForUpdate: func(_ context.Context, obj, old *corev1.Node) { obj.Spec = old.Spec },
			ValidateUpdate: func(_ context.Context, obj, _ *corev1.Node) field.ErrorList {
				return api.ValidateNodeStatusUpdate(obj)
			},
		},
		Fields: func(obj *corev1.Node) fields.Set {
			return fields.Set{"spec.unschedulable": strconv.FormatBool(obj.Spec.Unschedulable)}
		},
		Subresources: func(store, _ *genericregistry.Store) map[string]rest.Storage {
			return map[string]rest.Storage{"proxy": &nodeProxyStorage{store, nodes}}
		},
		Columns: []metav1.TableColumnDefinition{
			registry.NameColumn,
			registry.Column("Status", "string", "The status of the node"),
			registry.Column("Roles", "string", "The roles of the node"),
			registry.AgeColumn,
			registry.Column("Version", "string", corev1.NodeSystemInfo{}.SwaggerDoc()["kubeletVersion"]),
			registry.WideColumn("Internal-IP", "string", corev1.NodeStatus{}.SwaggerDoc()["addresses"]),
			registry.WideColumn("External-IP", "string", corev1.NodeStatus{}.SwaggerDoc()["addresses"]),
			registry.WideColumn("OS-Image", "string", corev1.NodeSystemInfo{}.SwaggerDoc()["osImage"]),
			registry.WideColumn("Kernel-Version", "string", corev1.NodeSystemInfo{}.SwaggerDoc()["kernelVersion"]),
			registry.WideColumn("Container-Runtime", "string", corev1.NodeSystemInfo{}.SwaggerDoc()["containerRuntimeVersion"]),
		},
		Row: func(obj *corev1.Node) []any {
			info := obj.Status.NodeInfo
			return []any{obj.Name, nodeStatus(obj), orNone(strings.Join(nodeRoles(obj), ",")), registry.Age(obj.CreationTimestamp), info.KubeletVersion,
				nodeAddress(obj, corev1.NodeInternalIP), nodeAddress(obj, corev1.NodeExternalIP),
				orUnknown(info.OSImage), orUnknown(info.KernelVersion), orUnknown(info.ContainerRuntimeVersion)}
		},
	}
}

func nodeStatus(node *corev1.Node) string {
	status := "Unknown"
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			status = "NotReady"
			if condition.Status == corev1.ConditionTrue {
				status = "Ready"
			}
		}
	}
	if node.Spec.Unschedulable {
		status += ",SchedulingDisabled"
	}
	return status
}

func nodeRoles(node *corev1.Node) []string {
	const prefix = "node-role.kubernetes.io/"
	var roles []string
	for label, value := range node.Labels {
		if role, found := strings.CutPrefix(label, prefix); found && role != "" {
			roles = append(roles, role)
		} else if label == "kubernetes.io/role" && value != "" {
			roles = append(roles, value)
		}
	}
	sort.Strings(roles)
	return roles
}

func nodeAddress(node *corev1.Node, kind corev1.NodeAddressType) string {
	for _, address := range node.Status.Addresses {
		if address.Type == kind {
			return address.Address
		}
	}
	return "<none>"
}

func orUnknown(text string) string {
	if text == "" {
		return "<unknown>"
	}
	return text
}
