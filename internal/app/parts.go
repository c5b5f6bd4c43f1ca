package app

import (
	"runtime/debug"

	"coxswain.dev/cox/internal/apiserver"
	"coxswain.dev/cox/internal/cri"
)

// Part is something that cox ships, with its version.
type Part struct{ Name, Version string }

// Parts are what `cox version` lists besides cox itself.
func Parts() []Part {
	return []Part{
		{"kubernetes", apiserver.Version},
		{"etcd", moduleVersion("go.etcd.io/etcd/server/v3")},
		{"containerd", cri.ContainerdVersion},
		{"runc", cri.RuncVersion},
	}
}

// moduleVersion is the version of a module that is linked in.
func moduleVersion(path string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == path {
				return module.Version
			}
		}
	}
	return "unknown"
}
