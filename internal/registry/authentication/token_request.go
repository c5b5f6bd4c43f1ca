package authentication

import (
	"context"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
)

const (
	defaultLifetime = time.Hour
	minLifetime     = 10 * time.Minute
	// maxLifetime is not an error to exceed: a shorter token is given.
	maxLifetime     = 365 * 24 * time.Hour
	maxRequestable  = 1 << 32 // seconds
	tokenRequestMsg = "may not specify a duration"
)

// Grant is a token that is to be signed: who for, and what it is bound to.
type Grant struct {
	ServiceAccount metav1.Object
	// Bound is the Pod, Secret or Node that the token ends with, or nil;
	// BoundKind is its kind.
	Bound     metav1.Object
	BoundKind string
	// Node is the node of a bound Pod, or empty.
	NodeName  string
	Audiences []string
	Lifetime  time.Duration
}

// Signer makes tokens.
type Signer interface {
	Sign(ctx context.Context, grant Grant, now time.Time) (token string, err error)
}

// Objects reads what tokens are bound to, by resource of the core group.
type Objects interface {
	Get(ctx context.Context, resource, namespace, name string) (metav1.Object, error)
}

// TokenRequest serves serviceaccounts/token.
type TokenRequest struct {
	Signer  Signer
	Objects Objects
	// Audiences are used where a request names none.
	Audiences []string
	// NodeOf returns the node that a Pod is bound to.
	NodeOf func(pod metav1.Object) string
}

var (
	_ rest.NamedCreater             = &TokenRequest{}
	_ rest.GroupVersionKindProvider = &TokenRequest{}
	_ rest.Scoper                   = &TokenRequest{}
)

// New implements rest.Storage.
func (t *TokenRequest) New() runtime.Object { return &authenticationv1.TokenRequest{} }

// Destroy implements rest.Storage.
func (t *TokenRequest) Destroy() {}

// NamespaceScoped implements rest.Scoper.
func (t *TokenRequest) NamespaceScoped() bool { return true }

// GroupVersionKind implements rest.GroupVersionKindProvider: the request's
// kind is of another group than its path.
func (t *TokenRequest) GroupVersionKind(schema.GroupVersion) schema.GroupVersionKind {
	return authenticationv1.SchemeGroupVersion.WithKind("TokenRequest")
}

// Create implements rest.NamedCreater.
func (t *TokenRequest) Create(ctx context.Context, name string, obj runtime.Object, validate rest.ValidateObjectFunc, _ *metav1.CreateOptions) (runtime.Object, error) {
	asked, ok := obj.(*authenticationv1.TokenRequest)
	if !ok {
		return nil, errors.NewBadRequest(fmt.Sprintf("not a TokenRequest: %T", obj))
	}
	namespace := request.NamespaceValue(ctx)
	account, err := t.Objects.Get(ctx, "serviceaccounts", namespace, name)
	if err != nil {
		return nil, err
	}
	// The request is about the account, whatever its own metadata say.
	asked.Name, asked.Namespace = account.GetName(), account.GetNamespace()
	if validate != nil {
		if err := validate(ctx, obj.DeepCopyObject()); err != nil {
			return nil, err
		}
	}
	defaults(asked, t.Audiences)
	if errs := validateTokenRequest(asked); len(errs) > 0 {
		return nil, errors.NewInvalid(schema.GroupKind{Group: authenticationv1.GroupName, Kind: "TokenRequest"}, "", errs)
	}
	grant := Grant{ServiceAccount: account, Audiences: asked.Spec.Audiences,
		Lifetime: min(time.Duration(*asked.Spec.ExpirationSeconds)*time.Second, maxLifetime)}
	if err := t.bind(ctx, &grant, asked.Spec.BoundObjectRef, namespace); err != nil {
		return nil, err
	}
	now := time.Now()
	asked.Status.Token, err = t.Signer.Sign(ctx, grant, now)
	if err != nil {
		return nil, fmt.Errorf("failed to generate token: %w", err)
	}
	asked.Status.ExpirationTimestamp = metav1.NewTime(now.Add(grant.Lifetime))
	return asked, nil
}

// bind finds the object that the token is to end with.
func (t *TokenRequest) bind(ctx context.Context, grant *Grant, ref *authenticationv1.BoundObjectReference, namespace string) error {
	if ref == nil {
		return nil
	}
	resource := map[string]string{"Pod": "pods", "Secret": "secrets", "Node": "nodes"}[ref.Kind]
	if ref.APIVersion != "v1" || resource == "" {
		return errors.NewBadRequest(fmt.Sprintf("cannot bind token for serviceaccount %q to object of type %s", grant.ServiceAccount.GetName(), schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind)))
	}
	if resource == "nodes" {
		namespace = ""
	}
	bound, err := t.Objects.Get(ctx, resource, namespace, ref.Name)
	if err != nil {
		return err
	}
	if ref.UID != "" && ref.UID != bound.GetUID() {
		return errors.NewConflict(schema.GroupResource{Resource: resource}, ref.Name,
			fmt.Errorf("the UID in the bound object reference (%s) does not match the UID in record. The object might have been deleted and then recreated", ref.UID))
	}
	grant.Bound, grant.BoundKind = bound, ref.Kind
	if ref.Kind == "Pod" && t.NodeOf != nil {
		grant.NodeName = t.NodeOf(bound)
	}
	return nil
}

func defaults(asked *authenticationv1.TokenRequest, audiences []string) {
	if len(asked.Spec.Audiences) == 0 {
		asked.Spec.Audiences = append([]string(nil), audiences...)
	}
	if asked.Spec.ExpirationSeconds == nil {
		seconds := int64(defaultLifetime.Seconds())
		asked.Spec.ExpirationSeconds = &seconds
	}
}

func validateTokenRequest(asked *authenticationv1.TokenRequest) field.ErrorList {
	at := field.NewPath("spec", "expirationSeconds")
	seconds := *asked.Spec.ExpirationSeconds
	var errs field.ErrorList
	if seconds < int64(minLifetime.Seconds()) {
		errs = append(errs, field.Invalid(at, seconds, tokenRequestMsg+" less than 10 minutes"))
	}
	if seconds > maxRequestable {
		errs = append(errs, field.Invalid(at, seconds, tokenRequestMsg+" larger than 2^32 seconds"))
	}
	return errs
}
