// Package core describes the kinds of the core/v1 group: one file a kind, each
// with its strategy and its columns.
package core
