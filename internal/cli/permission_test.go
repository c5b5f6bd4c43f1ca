package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// TestWhatOneMayNotSeeIsSaid: a plan goes as far as the user's rights do.
func TestWhatOneMayNotSeeIsSaid(t *testing.T) {
	c := newCluster(t)
	g := newGolden(t, "plan-permissions")
	c.make(web)
	for _, role := range []string{"edit", "view"} {
		limited := *c
		limited.kubeconfig = c.userWith(role)
		limited.planImage(g, "deploy/web", "--image", "web=web:v2", "-n", "default")
		limited.rollout(g, "undo", "deploy/web")
	}
	g.compare()
}

// userWith makes a service account with a role in the namespace default, and
// returns a kubeconfig of its own.
func (c *cluster) userWith(role string) string {
	c.t.Helper()
	ctx := c.t.Context()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: role, Namespace: "default"}}
	if _, err := c.CoreV1().ServiceAccounts("default").Create(ctx, account, metav1.CreateOptions{}); err != nil {
		c.t.Fatal(err)
	}
	binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: role},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: role, Namespace: "default"}}}
	if _, err := c.RbacV1().RoleBindings("default").Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		c.t.Fatal(err)
	}
	token, err := c.CoreV1().ServiceAccounts("default").CreateToken(ctx, role, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	config, err := clientcmd.LoadFromFile(c.kubeconfig)
	if err != nil {
		c.t.Fatal(err)
	}
	for name := range config.AuthInfos {
		config.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
	}
	path := filepath.Join(c.t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		c.t.Fatal(err)
	}
	limited := *c
	limited.kubeconfig = path
	c.eventually("the role counts", func() (bool, error) {
		return !strings.Contains(limited.run(strings.NewReader(""), "rollout", "diff", "deploy/web"), "forbidden"), nil
	})
	return path
}

// TestAnAPIThatIsNotThere: nobody listens at the address.
func TestAnAPIThatIsNotThere(t *testing.T) {
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: "http://127.0.0.1:1"}
	config.Contexts["c"], config.CurrentContext = &clientcmdapi.Context{Cluster: "c"}, "c"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	manifest := filepath.Join(t.TempDir(), "web.yaml")
	if err := os.WriteFile(manifest, []byte(web), 0o600); err != nil {
		t.Fatal(err)
	}
	const want = "the API at http://127.0.0.1:1 does not answer: is cox running? Start it with `sudo cox up -d`, or name another with --kubeconfig"
	for _, args := range [][]string{
		{"plan", "-f", manifest}, {"plan", "deploy/web", "--image", "web=web:v2"}, {"rollout", "diff", "deploy/web"}, {"rollout", "undo", "deploy/web"},
	} {
		if _, err := runCommand(strings.NewReader(""), append(args, "--kubeconfig", path)...); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("cox %s: got %v, want %s", strings.Join(args, " "), err, want)
		}
	}
}
