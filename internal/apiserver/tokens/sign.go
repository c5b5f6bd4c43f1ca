package tokens

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"

	"coxswain.dev/cox/internal/registry/authentication"
)

// Signer signs the tokens that are asked for through serviceaccounts/token.
type Signer struct {
	Key     *Key
	Objects Objects
}

var _ authentication.Signer = &Signer{}

// Sign implements authentication.Signer.
func (s *Signer) Sign(ctx context.Context, grant authentication.Grant, now time.Time) (string, error) {
	namespace, name := grant.ServiceAccount.GetNamespace(), grant.ServiceAccount.GetName()
	claims := Claims{
		Issuer: Issuer, Subject: serviceaccount.MakeUsername(namespace, name), Audience: grant.Audiences,
		IssuedAt: now.Unix(), NotBefore: now.Unix(), Expiry: now.Add(grant.Lifetime).Unix(),
		ID:         string(uuid.NewUUID()),
		Kubernetes: Bound{Namespace: namespace, ServiceAccount: refTo(grant.ServiceAccount)},
	}
	if grant.Bound == nil {
		return s.Key.Sign(claims)
	}
	bound := refTo(grant.Bound)
	switch grant.BoundKind {
	case "Pod":
		claims.Kubernetes.Pod = &bound
		claims.Kubernetes.Node = s.node(ctx, grant.NodeName)
	case "Secret":
		claims.Kubernetes.Secret = &bound
	case "Node":
		claims.Kubernetes.Node = &bound
	}
	return s.Key.Sign(claims)
}

// node names the node of a Pod; without its UID if the node is gone, and not
// at all while the Pod has none.
func (s *Signer) node(ctx context.Context, name string) *Ref {
	if name == "" {
		return nil
	}
	ref := Ref{Name: name}
	if node, err := s.Objects.Get(ctx, "nodes", "", name); err == nil {
		ref.UID = string(node.GetUID())
	}
	return &ref
}

func refTo(obj metav1.Object) Ref { return Ref{Name: obj.GetName(), UID: string(obj.GetUID())} }
