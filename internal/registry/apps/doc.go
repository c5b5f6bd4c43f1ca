// Package apps describes the kinds of the apps/v1 group: one file a kind, each
// with its strategy and its columns. They are served in the versions before
// apps/v1 too (extensions/v1beta1, apps/v1beta1, apps/v1beta2), which are other
// forms of the same objects.
package apps
