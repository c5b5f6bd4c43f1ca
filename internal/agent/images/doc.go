// Package images gets a container's image by its pull policy, with the Pod's
// credentials, and says what happened in Kubernetes' words.
package images
