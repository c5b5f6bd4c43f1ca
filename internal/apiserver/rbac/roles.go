package rbac

import (
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
)

// Users as whom the parts of this program act. Each has a role of its own
// below, with what it needs.
const (
	ControllersUser = "system:kube-controller-manager"
	SchedulerUser   = "system:kube-scheduler"
	ProxyUser       = "system:kube-proxy"
	DNSUser         = "system:kube-dns"
)

var (
	read      = []string{"get", "list", "watch"}
	write     = []string{"create", "delete", "deletecollection", "patch", "update"}
	readWrite = append(append([]string{}, read...), write...)
)

const (
	coreGroup       = ""
	aggregatePrefix = "rbac.authorization.k8s.io/aggregate-to-"
)

func rule(verbs []string, group string, resources ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{Verbs: verbs, APIGroups: []string{group}, Resources: resources}
}

func urls(paths ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{Verbs: []string{"get"}, NonResourceURLs: paths}
}

func verbs(list ...string) []string { return list }

// bootstrapMeta marks what is kept up to date at every start.
func bootstrapMeta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name:        name,
		Labels:      map[string]string{"kubernetes.io/bootstrapping": "rbac-defaults"},
		Annotations: map[string]string{rbacv1.AutoUpdateAnnotationKey: "true"},
	}
}

func clusterRole(name string, rules ...rbacv1.PolicyRule) rbacv1.ClusterRole {
	return rbacv1.ClusterRole{ObjectMeta: bootstrapMeta(name), Rules: rules}
}

// partOf makes a role a part of those that users are given.
func partOf(role rbacv1.ClusterRole, users ...string) rbacv1.ClusterRole {
	for _, name := range users {
		role.Labels[aggregatePrefix+name] = "true"
	}
	return role
}

// gathers makes a role that holds the rules of every role that is a part of
// it. It starts with the rules of parts, in the order of the parts' names.
func gathers(name string, parts ...rbacv1.ClusterRole) rbacv1.ClusterRole {
	role := clusterRole(name)
	for _, part := range parts {
		role.Rules = append(role.Rules, part.Rules...)
	}
	role.AggregationRule = &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{
		{MatchLabels: map[string]string{aggregatePrefix + name: "true"}}}}
	return role
}

// ClusterRoles are the roles of every installation.
func ClusterRoles() []rbacv1.ClusterRole {
	return append(userRoles(), partRoles()...)
}

// userRoles are those for people and for programs in Pods.
func userRoles() []rbacv1.ClusterRole {
	admin, edit, view, metrics := adminPart(), editPart(), viewPart(), metricsPart()
	all := gathers("admin", edit, view, metrics, admin)
	editing := gathers("edit", edit, view, metrics)
	editing.Labels[aggregatePrefix+"admin"] = "true"
	viewing := gathers("view", view, metrics)
	viewing.Labels[aggregatePrefix+"edit"] = "true"
	return []rbacv1.ClusterRole{
		clusterRole("cluster-admin", rule(verbs("*"), "*", "*"), rbacv1.PolicyRule{Verbs: verbs("*"), NonResourceURLs: []string{"*"}}),
		all, editing, viewing, admin, edit, view, metrics,
		clusterRole("system:discovery", urls("/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz", "/version", "/version/")),
		clusterRole("system:basic-user",
			rule(verbs("create"), "authorization.k8s.io", "selfsubjectaccessreviews", "selfsubjectrulesreviews"),
			rule(verbs("create"), "authentication.k8s.io", "selfsubjectreviews")),
		clusterRole("system:public-info-viewer", urls("/healthz", "/livez", "/readyz", "/version", "/version/")),
		clusterRole("system:monitoring", urls("/healthz", "/healthz/*", "/livez", "/livez/*", "/metrics", "/metrics/slis", "/readyz", "/readyz/*")),
		clusterRole("system:service-account-issuer-discovery", urls("/.well-known/openid-configuration", "/.well-known/openid-configuration/", "/openid/v1/jwks", "/openid/v1/jwks/")),
		clusterRole("system:auth-delegator",
			rule(verbs("create"), "authentication.k8s.io", "tokenreviews"),
			rule(verbs("create"), "authorization.k8s.io", "subjectaccessreviews")),
	}
}

func adminPart() rbacv1.ClusterRole {
	return partOf(clusterRole("system:aggregate-to-admin",
		rule(verbs("create"), "authorization.k8s.io", "localsubjectaccessreviews"),
		rule(readWrite, rbacv1.GroupName, "roles", "rolebindings"),
	), "admin")
}

func editPart() rbacv1.ClusterRole {
	return partOf(clusterRole("system:aggregate-to-edit",
		rule(read, coreGroup, "pods/attach", "pods/proxy", "pods/exec", "pods/portforward", "secrets", "services/proxy"),
		rule(verbs("impersonate"), coreGroup, "serviceaccounts"),
		rule(write, coreGroup, "pods", "pods/attach", "pods/proxy", "pods/exec", "pods/portforward"),
		rule(verbs("create"), coreGroup, "pods/eviction"),
		rule(write, coreGroup, "replicationcontrollers", "replicationcontrollers/scale", "serviceaccounts", "services", "services/proxy", "persistentvolumeclaims", "configmaps", "secrets", "events"),
		rule(verbs("create"), coreGroup, "serviceaccounts/token"),
		rule(write, "apps", "daemonsets", "deployments", "deployments/rollback", "deployments/scale", "replicasets", "replicasets/scale", "statefulsets", "statefulsets/scale"),
		rule(write, "autoscaling", "horizontalpodautoscalers"),
		rule(write, "extensions", "daemonsets", "deployments", "deployments/rollback", "deployments/scale", "ingresses", "networkpolicies", "replicasets", "replicasets/scale", "replicationcontrollers/scale"),
		rule(write, "policy", "poddisruptionbudgets"),
		rule(write, "networking.k8s.io", "networkpolicies", "ingresses"),
		rule(readWrite, "coordination.k8s.io", "leases"),
	), "edit")
}

func viewPart() rbacv1.ClusterRole {
	return partOf(clusterRole("system:aggregate-to-view",
		rule(read, coreGroup, "pods", "replicationcontrollers", "replicationcontrollers/scale", "serviceaccounts", "services", "services/status", "endpoints", "persistentvolumeclaims", "persistentvolumeclaims/status", "configmaps"),
		rule(read, coreGroup, "limitranges", "resourcequotas", "bindings", "events", "pods/status", "resourcequotas/status", "namespaces/status", "replicationcontrollers/status", "pods/log"),
		rule(read, coreGroup, "namespaces"),
		rule(read, "discovery.k8s.io", "endpointslices"),
		rule(read, "apps", "controllerrevisions", "daemonsets", "daemonsets/status", "deployments", "deployments/scale", "deployments/status", "replicasets", "replicasets/scale", "replicasets/status", "statefulsets", "statefulsets/scale", "statefulsets/status"),
		rule(read, "autoscaling", "horizontalpodautoscalers", "horizontalpodautoscalers/status"),
		rule(read, "extensions", "daemonsets", "daemonsets/status", "deployments", "deployments/scale", "deployments/status", "ingresses", "ingresses/status", "networkpolicies", "replicasets", "replicasets/scale", "replicasets/status", "replicationcontrollers/scale"),
		rule(read, "policy", "poddisruptionbudgets", "poddisruptionbudgets/status"),
		rule(read, "networking.k8s.io", "networkpolicies", "ingresses", "ingresses/status"),
	), "view")
}

// metricsPart is what metrics-server brings along in a cluster.
func metricsPart() rbacv1.ClusterRole {
	return partOf(clusterRole("system:aggregated-metrics-reader", rule(read, "metrics.k8s.io", "pods", "nodes")), "view")
}

// partRoles are those of this program's own parts.
func partRoles() []rbacv1.ClusterRole {
	return []rbacv1.ClusterRole{
		// The collector and the deletion of namespaces touch every kind
		// that is served, so that this role names none.
		clusterRole(ControllersUser, rule(readWrite, "*", "*"),
			rule(verbs("create"), coreGroup, "serviceaccounts/token"), urls("*")),
		clusterRole(SchedulerUser,
			rule(read, coreGroup, "nodes", "namespaces", "pods", "replicationcontrollers", "services"),
			rule(read, "apps", "replicasets"),
			rule(verbs("create"), coreGroup, "bindings", "pods/binding"),
			rule(verbs("patch", "update"), coreGroup, "pods/status"),
			rule(verbs("create", "patch", "update"), coreGroup, "events"),
			rule(verbs("create", "patch", "update"), "events.k8s.io", "events")),
		clusterRole("system:node",
			rule(verbs("create", "get", "list", "watch", "patch", "update", "delete"), coreGroup, "nodes"),
			rule(verbs("patch", "update"), coreGroup, "nodes/status", "pods/status"),
			rule(append(verbs("create", "delete"), read...), coreGroup, "pods"),
			rule(read, coreGroup, "configmaps", "secrets", "services", "endpoints", "serviceaccounts", "namespaces", "persistentvolumeclaims", "persistentvolumes"),
			rule(verbs("create"), coreGroup, "serviceaccounts/token", "pods/eviction"),
			rule(verbs("create", "patch", "update"), coreGroup, "events"),
			rule(verbs("create", "patch", "update"), "events.k8s.io", "events"),
			rule(verbs("create", "delete", "get", "list", "watch", "patch", "update"), "coordination.k8s.io", "leases"),
			rule(read, "discovery.k8s.io", "endpointslices"),
			rule(verbs("create"), "authentication.k8s.io", "tokenreviews"),
			rule(verbs("create"), "authorization.k8s.io", "localsubjectaccessreviews", "subjectaccessreviews")),
		clusterRole("system:node-proxier",
			rule(read, coreGroup, "services", "endpoints", "nodes", "pods", "namespaces"),
			rule(read, "discovery.k8s.io", "endpointslices"),
			rule(read, "networking.k8s.io", "networkpolicies"),
			rule(verbs("create", "patch", "update"), coreGroup, "events"),
			rule(verbs("create", "patch", "update"), "events.k8s.io", "events")),
		clusterRole(DNSUser,
			rule(read, coreGroup, "services", "endpoints", "pods", "namespaces", "nodes"),
			rule(read, "discovery.k8s.io", "endpointslices")),
	}
}

// ClusterRoleBindings give the roles to those who have them from the start.
func ClusterRoleBindings() []rbacv1.ClusterRoleBinding {
	return []rbacv1.ClusterRoleBinding{
		binding("cluster-admin", "cluster-admin", group(user.SystemPrivilegedGroup)),
		binding("system:discovery", "system:discovery", group(user.AllAuthenticated)),
		binding("system:basic-user", "system:basic-user", group(user.AllAuthenticated)),
		binding("system:public-info-viewer", "system:public-info-viewer", group(user.AllAuthenticated), group(user.AllUnauthenticated)),
		binding("system:monitoring", "system:monitoring", group(user.MonitoringGroup)),
		binding("system:service-account-issuer-discovery", "system:service-account-issuer-discovery", group(serviceaccount.AllServiceAccountsGroup)),
		binding(ControllersUser, ControllersUser, named(ControllersUser)),
		binding(SchedulerUser, SchedulerUser, named(SchedulerUser)),
		binding("system:node", "system:node", group(user.NodesGroup)),
		binding("system:node-proxier", "system:node-proxier", named(ProxyUser)),
		binding(DNSUser, DNSUser, named(DNSUser)),
	}
}

func group(name string) rbacv1.Subject {
	return rbacv1.Subject{Kind: rbacv1.GroupKind, APIGroup: rbacv1.GroupName, Name: name}
}

func named(name string) rbacv1.Subject {
	return rbacv1.Subject{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: name}
}

func binding(name, role string, subjects ...rbacv1.Subject) rbacv1.ClusterRoleBinding {
	return rbacv1.ClusterRoleBinding{ObjectMeta: bootstrapMeta(name), Subjects: subjects,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role}}
}
