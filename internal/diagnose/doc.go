// Package diagnose says in words why a Service does not lead where it should:
// labels that fit no Pod, ports that nobody listens on, Pods that are not
// ready, policies that let nobody through, names that do not resolve. It is pure: objects in, sentences
// out.
package diagnose
