// Package authentication describes what is served of authentication.k8s.io:
// TokenReview and SelfSubjectReview, and the TokenRequest behind
// serviceaccounts/token. Signing and checking tokens is not done here but in
// internal/apiserver/tokens.
package authentication
