// Package usage is the arithmetic of what a node and its containers use.
//
// The kernel counts the processor time that was ever taken. How much is taken
// now follows from two samples of the counters: Rates fills it in. A sample and
// an answer have the same form, Summary, which is the kubelet's
// (stats/v1alpha1) as far as it goes.
package usage
