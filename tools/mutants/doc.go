// Command mutants shows whether the tests of the cores would see a mistake. It
// makes one small mistake after the other in a package's code (mutants), runs
// the tests against each, and prints how many they catch and which they let
// through.
//
// All mutants of a package are compiled into one test binary, in which an
// environment variable switches one of them on: a run costs what the tests
// cost, and no compilation.
//
// Mistakes that Kubernetes has made are made here too, by hand (historic.go).
//
// Usage: go run ./tools/mutants [-v] [-historic] [-only TEXT] [PACKAGE...]
package main
