// Package cli holds the commands that talk to the API and to nothing else.
package cli
