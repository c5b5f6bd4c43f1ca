// Package strict makes the complaints about unknown fields helpful: behind
// each it names the known field that was probably meant.
//
//	unknown field "spec.processDeadlineSeconds" (did you mean "progressDeadlineSeconds"?)
//
// Package nearfields finds it.
//
// And a quantity that cannot be read is named with its field.
//
// The complaints arise in three places, and each has its adapter here: where a
// body is decoded (Serializer), where a warning is recorded (WithWarnings),
// and, for patches, where the answer is written (Serializer again). The fields
// are those of the Go types.
package strict
