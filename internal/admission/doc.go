// Package admission holds the plugins that complete or refuse objects before
// they are validated and stored: limits, service accounts, Pod security,
// priorities, tolerations, quotas.
//
// Every plugin is a k8s.io/apiserver admission.Interface; the API server puts
// them into its chain in the order in which Plugins returns them. What a plugin
// says to a user (reasons, messages, annotations) is upstream's.
package admission
