// Package openapi holds the schema of every served type, generated from the
// published k8s.io/api packages, and nothing else.
//
// The API server serves it as OpenAPI v2 and v3, and derives from it the
// types that server-side apply merges with.
package openapi

//go:generate go tool openapi-gen --go-header-file=header.txt --output-dir=. --output-pkg=coxswain.dev/cox/internal/apiserver/openapi --output-file=zz_generated.openapi.go --report-filename=/dev/null k8s.io/api/core/v1 k8s.io/api/apps/v1 k8s.io/api/apps/v1beta1 k8s.io/api/apps/v1beta2 k8s.io/api/extensions/v1beta1 k8s.io/api/autoscaling/v1 k8s.io/api/autoscaling/v2 k8s.io/api/authentication/v1 k8s.io/api/authorization/v1 k8s.io/api/rbac/v1 k8s.io/api/coordination/v1 k8s.io/api/discovery/v1 k8s.io/api/events/v1 k8s.io/api/networking/v1 k8s.io/api/policy/v1 k8s.io/metrics/pkg/apis/metrics/v1beta1 k8s.io/apimachinery/pkg/apis/meta/v1 k8s.io/apimachinery/pkg/runtime k8s.io/apimachinery/pkg/version k8s.io/apimachinery/pkg/api/resource k8s.io/apimachinery/pkg/util/intstr
