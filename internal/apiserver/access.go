package apiserver

import (
	"crypto/x509"
	"fmt"

	apiserverapi "k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/group"
	"k8s.io/apiserver/pkg/authentication/request/anonymous"
	"k8s.io/apiserver/pkg/authentication/request/bearertoken"
	"k8s.io/apiserver/pkg/authentication/request/union"
	x509request "k8s.io/apiserver/pkg/authentication/request/x509"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	authorizerunion "k8s.io/apiserver/pkg/authorization/union"
	"k8s.io/client-go/informers"

	"coxswain.dev/cox/internal/apiserver/inprocess"
	"coxswain.dev/cox/internal/apiserver/pki"
	"coxswain.dev/cox/internal/apiserver/rbac"
	"coxswain.dev/cox/internal/apiserver/tokens"
)

// access is who may come in and what they may do.
type access struct {
	authenticator authenticator.Request
	authorizer    authorizer.Authorizer
	policy        *rbac.Policy
	guard         *rbac.Guard
	tokens        *tokens.Authenticator
	key           *tokens.Key
	// objects are what tokens are bound to, known once the storages are
	// built.
	objects *storedObjects
}

func newAccess(authority *pki.Authority, factory informers.SharedInformerFactory) (*access, error) {
	private, err := authority.ServiceAccountKey()
	if err != nil {
		return nil, err
	}
	a := &access{objects: &storedObjects{}}
	if a.key, err = tokens.NewKey(private); err != nil {
		return nil, err
	}
	a.tokens = &tokens.Authenticator{Key: a.key, Objects: a.objects}
	if a.authenticator, err = newAuthenticator(authority, a.tokens); err != nil {
		return nil, err
	}
	roles := factory.Rbac().V1()
	a.policy = rbac.NewPolicy(rbac.Source{
		Roles: roles.Roles().Lister(), RoleBindings: roles.RoleBindings().Lister(),
		ClusterRoles: roles.ClusterRoles().Lister(), ClusterRoleBindings: roles.ClusterRoleBindings().Lister(),
	})
	a.authorizer, err = authorizerunion.New(
		authorizerunion.NamedAuthorizer{AuthorizerName: "masters", Authorizer: authorizerfactory.NewPrivilegedGroups(user.SystemPrivilegedGroup)},
		authorizerunion.NamedAuthorizer{AuthorizerName: "RBAC", Authorizer: a.policy},
	)
	if err != nil {
		return nil, fmt.Errorf("the authorization: %w", err)
	}
	a.guard = rbac.NewGuard(a.policy, a.authorizer)
	return a, nil
}

// newAuthenticator decides who a request is from: code of this process, the
// holder of a client certificate or of a service account's token, or anybody.
func newAuthenticator(authority *pki.Authority, bearer authenticator.Token) (authenticator.Request, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority.Certificate()) {
		return nil, fmt.Errorf("the certificate authority holds no certificate")
	}
	options := x509request.DefaultVerifyOptions()
	options.Roots = pool
	known := union.New(
		inprocess.Authenticator{},
		x509request.New(options, x509request.CommonNameUserConversion),
		bearertoken.New(bearer),
	)
	return union.NewFailOnError(
		group.NewAuthenticatedGroupAdder(known),
		anonymous.NewAuthenticator([]apiserverapi.AnonymousAuthCondition{}),
	), nil
}
