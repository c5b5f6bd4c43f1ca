package apiserver_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"coxswain.dev/cox/internal/apiserver/apitest"
	"coxswain.dev/cox/internal/apiserver/pki"
)

func selfReview() *authenticationv1.SelfSubjectReview { return &authenticationv1.SelfSubjectReview{} }

// bearing is a client with a token, over TLS.
func bearing(server *apitest.Server, token string) *rest.Config {
	return &rest.Config{Host: server.URL, BearerToken: token, TLSClientConfig: rest.TLSClientConfig{CAData: server.CA()}, QPS: -1}
}

// tokenOf makes a service account and a token for it.
func tokenOf(t *testing.T, server *apitest.Server, name string) string {
	t.Helper()
	accounts := server.Client(t).CoreV1().ServiceAccounts("default")
	if _, err := accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	request, err := accounts.CreateToken(t.Context(), name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return request.Status.Token
}

func TestForgedIdentitiesAreRefused(t *testing.T) {
	server := apitest.Start(t)
	foreign, err := pki.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := foreign.Client("admin", "system:masters")
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name        string
		headers     map[string]string
		certificate []tls.Certificate
		want        int
	}{
		{"nobody", nil, nil, http.StatusForbidden},
		{"a proxy's headers", map[string]string{"X-Remote-User": "admin", "X-Remote-Group": "system:masters"}, nil, http.StatusForbidden},
		{"impersonation by nobody", map[string]string{"Impersonate-User": "admin", "Impersonate-Group": "system:masters"}, nil, http.StatusForbidden},
		{"an invented token", map[string]string{"Authorization": "Bearer secret"}, nil, http.StatusUnauthorized},
		{"an empty token", map[string]string{"Authorization": "Bearer "}, nil, http.StatusForbidden},
		{"basic authentication", map[string]string{"Authorization": "Basic YWRtaW46YWRtaW4="}, nil, http.StatusForbidden},
		{"the in-process user's name", map[string]string{"User-Agent": "system:apiserver", "Host": "in-process"}, nil, http.StatusForbidden},
		{"a certificate of another authority", nil, []tls.Certificate{certificate}, http.StatusUnauthorized},
	} {
		t.Run(test.name, func(t *testing.T) {
			client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: test.certificate}}}
			request, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/api/v1/secrets", nil)
			if err != nil {
				t.Fatal(err)
			}
			for key, value := range test.headers {
				request.Header.Set(key, value)
			}
			response, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if body, _ := io.ReadAll(response.Body); response.StatusCode != test.want {
				t.Errorf("got %d: %s", response.StatusCode, body)
			}
		})
	}
}

func TestAnybodyMayAskForHealthAndVersion(t *testing.T) {
	server := apitest.Start(t)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	for path, want := range map[string]int{"/healthz": 200, "/livez": 200, "/readyz": 200, "/version": 200,
		"/api": 403, "/apis": 403, "/openapi/v2": 403, "/metrics": 403, "/": 403} {
		response, err := client.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, response.StatusCode, want)
		}
	}
}

func TestServiceAccountDoesWhatItsRoleAllows(t *testing.T) {
	server := apitest.Start(t)
	client := clientOf(t, bearing(server, tokenOf(t, server, "lister")))
	who, err := client.AuthenticationV1().SelfSubjectReviews().Create(t.Context(), selfReview(), metav1.CreateOptions{})
	if err != nil || who.Status.UserInfo.Username != "system:serviceaccount:default:lister" {
		t.Fatalf("it is %v, %v", who, err)
	}
	if _, err := client.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{}); !errors.IsForbidden(err) {
		t.Fatalf("without a role: %v", err)
	}
	_, err = server.Client(t).RbacV1().RoleBindings("default").Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "lister"},
		RoleRef:    rbacv1.RoleRef{Kind: "ClusterRole", Name: "view"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Name: "lister"}},
	}, metav1.CreateOptions{})
	if errors.IsInvalid(err) { // a ServiceAccount's namespace is taken from the binding
		t.Fatal(err)
	}
	eventually(t, "it may list Pods", func() bool {
		_, err := client.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{})
		return err == nil
	})
	_, err = client.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "grab"}, RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "cluster-admin"}}, metav1.CreateOptions{})
	if !errors.IsForbidden(err) {
		t.Errorf("it made itself an administrator: %v", err)
	}
}

func TestAggregatingRolesFollowTheirParts(t *testing.T) {
	roles := apitest.Start(t).Client(t).RbacV1().ClusterRoles()
	_, err := roles.Create(t.Context(), &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "crontabs", Labels: map[string]string{"rbac.authorization.k8s.io/aggregate-to-view": "true"}},
		Rules:      []rbacv1.PolicyRule{{Verbs: []string{"get"}, APIGroups: []string{"stable.example.com"}, Resources: []string{"crontabs"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"view", "edit", "admin"} {
		eventually(t, name+" has the new rule", func() bool {
			role, err := roles.Get(t.Context(), name, metav1.GetOptions{})
			return err == nil && strings.Contains(role.String(), "crontabs")
		})
	}
}

func TestTokensAreBoundAndReviewed(t *testing.T) {
	server := apitest.Start(t)
	client := server.Client(t)
	token := tokenOf(t, server, "bound")
	review := func(token string, audiences ...string) authenticationv1.TokenReviewStatus {
		t.Helper()
		answer, err := client.AuthenticationV1().TokenReviews().Create(t.Context(), &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: audiences}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return answer.Status
	}
	if got := review(token); !got.Authenticated || got.User.Username != "system:serviceaccount:default:bound" {
		t.Errorf("got %+v", got)
	}
	if got := review(token, "vault"); got.Authenticated {
		t.Errorf("taken for vault: %+v", got)
	}
	if got := review("nonsense"); got.Authenticated {
		t.Errorf("nonsense taken: %+v", got)
	}
	if err := client.CoreV1().ServiceAccounts("default").Delete(t.Context(), "bound", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the token ends with its account", func() bool { return !review(token).Authenticated })

	accounts := client.CoreV1().ServiceAccounts("default")
	if _, err := accounts.CreateToken(t.Context(), "bound", &authenticationv1.TokenRequest{}, metav1.CreateOptions{}); !errors.IsNotFound(err) {
		t.Errorf("a token for nobody: %v", err)
	}
	tokenOf(t, server, "other")
	for want, spec := range map[string]authenticationv1.TokenRequestSpec{
		"may not specify a duration less than 10 minutes": {ExpirationSeconds: new(int64(5))},
		`pods "ghost" not found`:                          {BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: "ghost"}},
		"cannot bind token":                               {BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "ConfigMap", Name: "x"}},
	} {
		if _, err := accounts.CreateToken(t.Context(), "other", &authenticationv1.TokenRequest{Spec: spec}, metav1.CreateOptions{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
