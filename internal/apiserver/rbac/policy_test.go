package rbac

import (
	"context"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"
	listers "k8s.io/client-go/listers/rbac/v1"
	"k8s.io/client-go/tools/cache"
)

// policyOf returns a policy over the objects given.
func policyOf(t *testing.T, objects ...metav1.Object) *Policy {
	t.Helper()
	index := func() cache.Indexer {
		return cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	}
	roles, bindings, clusterRoles, clusterBindings := index(), index(), index(), index()
	for _, object := range objects {
		var store cache.Indexer
		switch object.(type) {
		case *rbacv1.Role:
			store = roles
		case *rbacv1.RoleBinding:
			store = bindings
		case *rbacv1.ClusterRole:
			store = clusterRoles
		case *rbacv1.ClusterRoleBinding:
			store = clusterBindings
		}
		if err := store.Add(object); err != nil {
			t.Fatal(err)
		}
	}
	return NewPolicy(Source{listers.NewRoleLister(roles), listers.NewRoleBindingLister(bindings),
		listers.NewClusterRoleLister(clusterRoles), listers.NewClusterRoleBindingLister(clusterBindings)})
}

func bootstrapPolicy(t *testing.T, more ...metav1.Object) *Policy {
	t.Helper()
	var objects []metav1.Object
	for _, role := range ClusterRoles() {
		objects = append(objects, &role)
	}
	for _, binding := range ClusterRoleBindings() {
		objects = append(objects, &binding)
	}
	return policyOf(t, append(objects, more...)...)
}

func roleBinding(namespace, name, kind, role string, subjects ...rbacv1.Subject) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Subjects: subjects,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: role}}
}

// ask reads "verb group/resource/subresource name@namespace" or "verb /path".
func ask(who user.Info, question string) authorizer.AttributesRecord {
	words := strings.Fields(question)
	asked := authorizer.AttributesRecord{User: who, Verb: words[0]}
	if strings.HasPrefix(words[1], "/") {
		asked.Path = words[1]
		return asked
	}
	asked.ResourceRequest = true
	parts := strings.Split(words[1]+"//", "/")
	asked.APIGroup, asked.Resource, asked.Subresource = parts[0], parts[1], parts[2]
	if asked.APIGroup == "core" {
		asked.APIGroup = ""
	}
	if len(words) > 2 {
		asked.Name, asked.Namespace, _ = strings.Cut(words[2], "@")
	}
	return asked
}

func TestBootstrapRolesGiveWhatTheySay(t *testing.T) {
	policy := bootstrapPolicy(t,
		roleBinding("shop", "a", "ClusterRole", "admin", named("ann")),
		roleBinding("shop", "e", "ClusterRole", "edit", rbacv1.Subject{Kind: "ServiceAccount", Name: "deployer"}),
		roleBinding("shop", "v", "ClusterRole", "view", group("auditors")),
	)
	anybody := &user.DefaultInfo{Name: "someone", Groups: []string{user.AllAuthenticated}}
	stranger := &user.DefaultInfo{Name: user.Anonymous, Groups: []string{user.AllUnauthenticated}}
	ann := &user.DefaultInfo{Name: "ann"}
	deployer := &user.DefaultInfo{Name: "system:serviceaccount:shop:deployer"}
	auditor := &user.DefaultInfo{Name: "x", Groups: []string{"auditors"}}
	controllers := &user.DefaultInfo{Name: ControllersUser}
	node := &user.DefaultInfo{Name: "system:node:a", Groups: []string{user.NodesGroup}}
	masters := &user.DefaultInfo{Name: "root", Groups: []string{user.SystemPrivilegedGroup}}
	for _, test := range []struct {
		who      user.Info
		question string
		may      bool
	}{
		{stranger, "get /healthz", true}, {stranger, "get /version", true},
		{stranger, "get /api", false}, {stranger, "get /metrics", false}, {stranger, "list core/pods @shop", false},
		{anybody, "get /api/v1", true}, {anybody, "get /openapi/v3/apis/apps/v1", true}, {anybody, "get /metrics", false},
		{anybody, "create authorization.k8s.io/selfsubjectaccessreviews", true},
		{anybody, "create authentication.k8s.io/selfsubjectreviews", true},
		{anybody, "create authorization.k8s.io/subjectaccessreviews", false}, {anybody, "get core/secrets s@shop", false},
		{ann, "delete apps/deployments web@shop", true}, {ann, "create rbac.authorization.k8s.io/rolebindings @shop", true},
		{ann, "get core/pods/log p@shop", true}, {ann, "delete apps/deployments web@default", false}, {ann, "get core/nodes n", false},
		{ann, "update core/resourcequotas q@shop", false},
		{deployer, "update apps/deployments/scale web@shop", true}, {deployer, "get core/secrets s@shop", true},
		{deployer, "create rbac.authorization.k8s.io/rolebindings @shop", false}, {deployer, "get core/pods/log p@shop", true},
		{auditor, "list apps/replicasets @shop", true}, {auditor, "get core/secrets s@shop", false}, {auditor, "delete core/pods p@shop", false},
		{controllers, "deletecollection anything.example.com/things @shop", true}, {controllers, "update core/namespaces/finalize shop", true},
		{node, "patch core/pods/status p@shop", true}, {node, "patch core/pods p@shop", false}, {node, "create core/serviceaccounts/token default@shop", true},
		{masters, "delete core/nodes n", true}, {masters, "get /anything", true},
	} {
		decision, reason, err := policy.Authorize(t.Context(), ask(test.who, test.question))
		if err != nil || (decision == authorizer.DecisionAllow) != test.may {
			t.Errorf("%s: %s: %v %q %v", test.who.GetName(), test.question, decision, reason, err)
		}
	}
}

func TestRulesMatch(t *testing.T) {
	for _, test := range []struct {
		name     string
		rule     rbacv1.PolicyRule
		question string
		may      bool
	}{
		{"whole resource is not its subresource", rule(read, "", "pods"), "get core/pods/log p@d", false},
		{"subresource alone", rule(read, "", "pods/log"), "get core/pods/log p@d", true},
		{"subresource is not the whole", rule(read, "", "pods/log"), "get core/pods p@d", false},
		{"subresource of anything", rule(read, "", "*/log"), "get core/pods/log p@d", true},
		{"everything", rule(verbs("*"), "*", "*"), "patch apps/deployments/scale p@d", true},
		{"another group", rule(read, "apps", "pods"), "get core/pods p@d", false},
		{"another verb", rule(verbs("list"), "", "pods"), "get core/pods p@d", false},
		{"by name", rbacv1.PolicyRule{Verbs: read, APIGroups: []string{""}, Resources: []string{"pods"}, ResourceNames: []string{"p"}}, "get core/pods p@d", true},
		{"by another name", rbacv1.PolicyRule{Verbs: read, APIGroups: []string{""}, Resources: []string{"pods"}, ResourceNames: []string{"q"}}, "get core/pods p@d", false},
		{"by name, no name asked", rbacv1.PolicyRule{Verbs: read, APIGroups: []string{""}, Resources: []string{"pods"}, ResourceNames: []string{"p"}}, "list core/pods @d", false},
		{"path", urls("/healthz"), "get /healthz", true},
		{"path below", urls("/healthz"), "get /healthz/etcd", false},
		{"open path", urls("/healthz/*"), "get /healthz/etcd", true},
		{"open path is not itself", urls("/healthz/*"), "get /healthz", false},
		{"any path", urls("*"), "get /x", true},
		{"resource rule and path", rule(verbs("*"), "*", "*"), "get /healthz", false},
	} {
		if got := allows(&test.rule, ask(&user.DefaultInfo{}, test.question)); got != test.may {
			t.Errorf("%s: %t", test.name, got)
		}
	}
}

func TestReasonNamesTheWay(t *testing.T) {
	policy := bootstrapPolicy(t, roleBinding("shop", "lost", "Role", "nowhere", named("bob")), roleBinding("shop", "v", "ClusterRole", "view", named("bob")))
	bob := &user.DefaultInfo{Name: "bob"}
	for question, want := range map[string]string{
		"list core/pods @shop":    `RBAC: allowed by RoleBinding "v/shop" of ClusterRole "view" to User "bob"`,
		"list core/secrets @shop": `RBAC: role.rbac.authorization.k8s.io "nowhere" not found`,
	} {
		if _, reason, _ := policy.Authorize(t.Context(), ask(bob, question)); reason != want {
			t.Errorf("%s: %s", question, reason)
		}
	}
}

func TestNobodyGivesAwayWhatTheyLack(t *testing.T) {
	lister := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "lister"}, Rules: []rbacv1.PolicyRule{rule(read, "", "pods")}}
	keeper := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "keeper"}, Rules: []rbacv1.PolicyRule{
		{Verbs: verbs("escalate"), APIGroups: []string{rbacv1.GroupName}, Resources: []string{"roles"}},
		{Verbs: verbs("bind"), APIGroups: []string{rbacv1.GroupName}, Resources: []string{"clusterroles"}, ResourceNames: []string{"view"}},
	}}
	policy := bootstrapPolicy(t, lister, keeper, roleBinding("shop", "l", "Role", "lister", named("lee")), roleBinding("shop", "k", "Role", "keeper", named("kim")))
	guard := NewGuard(policy, policy)
	as := func(name string, groups ...string) context.Context {
		return request.WithUser(t.Context(), &user.DefaultInfo{Name: name, Groups: groups})
	}
	listing, deleting := []rbacv1.PolicyRule{rule(verbs("get", "list"), "", "pods")}, []rbacv1.PolicyRule{rule(verbs("get", "delete"), "", "pods")}
	for _, test := range []struct {
		name string
		err  error
		want string
	}{
		{"what one has", guard.MayGrant(as("lee"), "roles", "shop", "r", listing), ""},
		{"more than one has", guard.MayGrant(as("lee"), "roles", "shop", "r", deleting),
			"user \"lee\" (groups=[]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"delete\"]}"},
		{"elsewhere", guard.MayGrant(as("lee"), "roles", "default", "r", listing), "not currently held"},
		{"cluster-wide", guard.MayGrant(as("lee"), "clusterroles", "", "r", listing), "not currently held"},
		{"with escalate", guard.MayGrant(as("kim"), "roles", "shop", "r", deleting), ""},
		{"with escalate elsewhere", guard.MayGrant(as("kim"), "roles", "default", "r", deleting), "not currently held"},
		{"masters", guard.MayGrant(as("root", user.SystemPrivilegedGroup), "clusterroles", "", "r", deleting), ""},
		{"binding what one has", guard.MayBind(as("lee"), "shop", rbacv1.RoleRef{Kind: "Role", Name: "lister"}), ""},
		{"binding more", guard.MayBind(as("lee"), "shop", rbacv1.RoleRef{Kind: "ClusterRole", Name: "cluster-admin"}), "not currently held"},
		{"binding with bind", guard.MayBind(as("kim"), "shop", rbacv1.RoleRef{Kind: "ClusterRole", Name: "view"}), ""},
		{"binding with bind for another", guard.MayBind(as("kim"), "shop", rbacv1.RoleRef{Kind: "ClusterRole", Name: "edit"}), "not currently held"},
		{"binding what is not there", guard.MayBind(as("lee"), "shop", rbacv1.RoleRef{Kind: "Role", Name: "ghost"}), "not found"},
		{"nobody", guard.MayGrant(t.Context(), "roles", "shop", "r", listing), "no user on context"},
	} {
		if (test.err == nil) != (test.want == "") || test.err != nil && !strings.Contains(test.err.Error(), test.want) {
			t.Errorf("%s: %v", test.name, test.err)
		}
	}
}
