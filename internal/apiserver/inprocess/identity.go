package inprocess

import (
	"context"
	"net/http"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
)

// identityKey is the context key of the caller. Being an unexported type, it
// cannot be made outside of this package.
type identityKey struct{}

func withIdentity(ctx context.Context, caller user.Info) context.Context {
	return context.WithValue(ctx, identityKey{}, caller)
}

// Authenticator recognises requests that came through a Transport of this
// process, and no other.
type Authenticator struct{}

// AuthenticateRequest implements authenticator.Request.
func (Authenticator) AuthenticateRequest(request *http.Request) (*authenticator.Response, bool, error) {
	caller, ok := request.Context().Value(identityKey{}).(user.Info)
	if !ok {
		return nil, false, nil
	}
	return &authenticator.Response{User: caller}, true, nil
}
