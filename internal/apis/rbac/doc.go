// Package rbac holds the defaults and the validation of the
// rbac.authorization.k8s.io/v1 types.
package rbac
