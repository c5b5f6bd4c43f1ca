package harness

import (
	"path/filepath"
	"runtime"
)

// Root is the top of the checkout.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// Binary is the path of a program that `make` has built.
func Binary(name string) string { return filepath.Join(Root(), "bin", name) }
