// Package authorization holds the validation of the authorization.k8s.io/v1
// reviews.
package authorization
