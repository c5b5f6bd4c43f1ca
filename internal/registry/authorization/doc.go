// Package authorization describes the reviews of authorization.k8s.io: who may
// do what. They are answered by the server's own authorizer.
package authorization
