// Package core holds the defaults and the validation of the core/v1 kinds.
//
// Everything in it is a pure function of the published types. Field errors and
// their words are the API's interface and match upstream's.
package core
