// Package apps describes the kinds of the apps/v1 group: one file a kind, each
// with its strategy and its columns.
package apps
