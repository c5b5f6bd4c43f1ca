// Package archtest holds the rules of the architecture: the table of layers,
// which package may import which, and what a core may not touch. They are
// checked by its test over the real packages, as `go list` and the parser see
// them. It is imported by nothing.
package archtest
