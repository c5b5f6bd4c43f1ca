package tokens

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
)

// Objects reads what tokens are bound to. resource is "serviceaccounts",
// "pods", "secrets" or "nodes" of the core group.
type Objects interface {
	Get(ctx context.Context, resource, namespace, name string) (metav1.Object, error)
}

// deletionGrace is how long the token of an object goes on working after the
// object has been marked for deletion and its time is over: a Pod that is
// being stopped may still say goodbye.
const deletionGrace = 60 * time.Second

// Authenticator knows the holders of tokens. It implements
// authenticator.Token.
type Authenticator struct {
	Key     *Key
	Objects Objects
}

// AuthenticateToken implements authenticator.Token.
func (a *Authenticator) AuthenticateToken(ctx context.Context, token string) (*authenticator.Response, bool, error) {
	claims, err := a.Key.Verify(token)
	if errors.Is(err, errForeign) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	now := time.Now()
	switch {
	case claims.Issuer != Issuer:
		return nil, false, nil
	case claims.expired(now):
		return nil, false, errors.New("service account token has expired")
	case claims.premature(now):
		return nil, false, errors.New("service account token is not valid yet")
	}
	wanted, ok := authenticator.AudiencesFrom(ctx)
	if !ok {
		wanted = authenticator.Audiences{Issuer}
	}
	audiences := authenticator.Audiences(claims.Audience).Intersect(wanted)
	if len(audiences) == 0 {
		return nil, false, fmt.Errorf("token audiences %q is invalid for the target audiences %q", claims.Audience, wanted)
	}
	if err := a.alive(ctx, claims, now); err != nil {
		return nil, false, err
	}
	return &authenticator.Response{User: holder(claims).UserInfo(), Audiences: audiences}, true, nil
}

// alive checks that all a token is bound to still exists.
func (a *Authenticator) alive(ctx context.Context, claims *Claims, now time.Time) error {
	bound := claims.Kubernetes
	if claims.Subject != serviceaccount.MakeUsername(bound.Namespace, bound.ServiceAccount.Name) {
		return errors.New("the token's subject and its claims differ")
	}
	refs := []struct {
		resource, namespace string
		ref                 *Ref
	}{
		{"serviceaccounts", bound.Namespace, &bound.ServiceAccount},
		{"secrets", bound.Namespace, bound.Secret},
		{"pods", bound.Namespace, bound.Pod},
	}
	// A node only informs about where a Pod runs, unless the token is bound
	// to nothing else.
	if bound.Pod == nil {
		refs = append(refs, struct {
			resource, namespace string
			ref                 *Ref
		}{"nodes", "", bound.Node})
	}
	for _, r := range refs {
		if r.ref == nil {
			continue
		}
		if err := a.exists(ctx, r.resource, r.namespace, *r.ref, now); err != nil {
			return err
		}
	}
	return nil
}

func (a *Authenticator) exists(ctx context.Context, resource, namespace string, ref Ref, now time.Time) error {
	obj, err := a.Objects.Get(ctx, resource, namespace, ref.Name)
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("%s %q, to which the token is bound, no longer exists", resource, ref.Name)
	}
	if err != nil {
		return err
	}
	if deletion := obj.GetDeletionTimestamp(); deletion != nil && now.After(deletion.Add(deletionGrace)) {
		return fmt.Errorf("%s %q, to which the token is bound, has been deleted", resource, ref.Name)
	}
	if string(obj.GetUID()) != ref.UID {
		return fmt.Errorf("%s %q, to which the token is bound, has been replaced by another of that name", resource, ref.Name)
	}
	return nil
}

func holder(claims *Claims) *serviceaccount.ServiceAccountInfo {
	bound := claims.Kubernetes
	info := &serviceaccount.ServiceAccountInfo{Name: bound.ServiceAccount.Name, Namespace: bound.Namespace, UID: bound.ServiceAccount.UID}
	if claims.ID != "" {
		info.CredentialID = "JTI=" + claims.ID
	}
	if bound.Pod != nil {
		info.PodName, info.PodUID = bound.Pod.Name, bound.Pod.UID
	}
	if bound.Node != nil {
		info.NodeName, info.NodeUID = bound.Node.Name, bound.Node.UID
	}
	return info
}

// ForAPI tells if a token with these audiences is meant for this API.
func ForAPI(audiences []string) bool { return slices.Contains(audiences, Issuer) }
