// Package apps holds the defaults and the validation of the apps/v1 kinds.
//
// Everything in it is a pure function of the published types. Field errors and
// their words are the API's interface and match upstream's.
package apps
