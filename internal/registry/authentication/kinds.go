package authentication

import (
	"context"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/request"

	"coxswain.dev/cox/internal/registry"
)

// Kinds returns every resource of the group. Reviewed tokens are checked by
// tokens; audiences are those of the server itself, assumed where a review
// names none.
func Kinds(tokens authenticator.Token, audiences authenticator.Audiences) []registry.Builder {
	return []registry.Builder{tokenReview(tokens, audiences), selfSubjectReview()}
}

func tokenReview(tokens authenticator.Token, audiences authenticator.Audiences) registry.Review[*authenticationv1.TokenReview] {
	return registry.Review[*authenticationv1.TokenReview]{
		Version: authenticationv1.SchemeGroupVersion, Resource: "tokenreviews", Singular: "tokenreview", ClusterScoped: true,
		New: func() *authenticationv1.TokenReview { return &authenticationv1.TokenReview{} },
		Answer: func(ctx context.Context, review *authenticationv1.TokenReview) error {
			if review.Spec.Token == "" {
				return errors.NewBadRequest("token is required for TokenReview in authentication")
			}
			asked := authenticator.Audiences(review.Spec.Audiences)
			if len(asked) == 0 {
				asked = audiences
			}
			response, ok, err := tokens.AuthenticateToken(authenticator.WithAudiences(ctx, asked), review.Spec.Token)
			review.Status = tokenStatus(response, ok, err, asked)
			return nil
		},
	}
}

func tokenStatus(response *authenticator.Response, ok bool, err error, asked authenticator.Audiences) authenticationv1.TokenReviewStatus {
	status := authenticationv1.TokenReviewStatus{Authenticated: ok}
	if err != nil {
		status.Error = err.Error()
	}
	if !ok || response == nil || response.User == nil {
		status.Authenticated = false
		return status
	}
	status.User = userInfo(response.User)
	status.Audiences = asked.Intersect(response.Audiences)
	if len(status.Audiences) == 0 {
		return authenticationv1.TokenReviewStatus{Error: "the token is not meant for any of the audiences asked for"}
	}
	return status
}

func selfSubjectReview() registry.Review[*authenticationv1.SelfSubjectReview] {
	return registry.Review[*authenticationv1.SelfSubjectReview]{
		Version: authenticationv1.SchemeGroupVersion, Resource: "selfsubjectreviews", Singular: "selfsubjectreview", ClusterScoped: true,
		New: func() *authenticationv1.SelfSubjectReview { return &authenticationv1.SelfSubjectReview{} },
		Answer: func(ctx context.Context, review *authenticationv1.SelfSubjectReview) error {
			caller, ok := request.UserFrom(ctx)
			if !ok {
				return errors.NewBadRequest("no user present on request")
			}
			review.Status.UserInfo = userInfo(caller)
			return nil
		},
	}
}

func userInfo(caller user.Info) authenticationv1.UserInfo {
	info := authenticationv1.UserInfo{Username: caller.GetName(), UID: caller.GetUID(), Groups: caller.GetGroups()}
	for key, values := range caller.GetExtra() {
		if info.Extra == nil {
			info.Extra = map[string]authenticationv1.ExtraValue{}
		}
		info.Extra[key] = values
	}
	return info
}
