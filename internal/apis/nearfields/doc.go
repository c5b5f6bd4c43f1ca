// Package nearfields offers, for a field that no type has, the known one that
// was probably meant. It takes the complaints of strict decoders, and of
// server-side apply, as text, and gives them back with an offer behind each:
//
//	unknown field "spec.processDeadlineSeconds" (did you mean "progressDeadlineSeconds"?)
//
// The fields are those of the Go types.
package nearfields
