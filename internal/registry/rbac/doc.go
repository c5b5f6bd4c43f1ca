// Package rbac describes the kinds of rbac.authorization.k8s.io.
//
// Nobody may hand out permissions that they lack: before a role or a binding
// is stored a Guard is asked. Evaluating the rules is not done here but in
// internal/apiserver/rbac.
package rbac
