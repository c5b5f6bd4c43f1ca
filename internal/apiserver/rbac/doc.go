// Package rbac answers who may do what from Roles and their bindings: for the
// server's authorization, for the access reviews, and for the rule that nobody
// hands out permissions that they lack.
//
// It reads the four kinds through a Source and keeps no state. It also holds
// the roles that every installation starts with.
package rbac
