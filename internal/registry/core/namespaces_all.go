package core

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/endpoints/request"
)

// allNamespaces widens a request for one namespace to all of them.
func allNamespaces(ctx context.Context) context.Context {
	return request.WithNamespace(ctx, metav1.NamespaceAll)
}
