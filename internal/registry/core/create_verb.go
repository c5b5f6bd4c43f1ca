package core

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/filters"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
)

// mayCreate asks for the verb create where a stream is asked for with another.
// A WebSocket begins with a GET, so that the right to read would be enough to
// run commands (upstream's AuthorizePodWebsocketUpgradeCreatePermission).
func mayCreate(ctx context.Context, rights authorizer.Authorizer) error {
	asked, err := filters.GetAuthorizerAttributes(ctx)
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	if asked.GetVerb() == "create" {
		return nil // it is allowed, or the request would not be here
	}
	if rights == nil {
		return apierrors.NewInternalError(fmt.Errorf("nothing decides who may create %s/%s", asked.GetResource(), asked.GetSubresource()))
	}
	wanted := asCreate{asked}
	decision, reason, err := rights.Authorize(ctx, wanted)
	switch {
	case decision == authorizer.DecisionAllow:
		return nil
	case err != nil:
		return apierrors.NewInternalError(err)
	}
	return responsewriters.ForbiddenStatusError(wanted, reason)
}

// asCreate is a request with another verb.
type asCreate struct{ authorizer.Attributes }

func (asCreate) GetVerb() string  { return "create" }
func (asCreate) IsReadOnly() bool { return false }
