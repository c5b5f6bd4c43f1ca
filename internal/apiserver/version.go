package apiserver

import (
	"runtime"

	"k8s.io/apimachinery/pkg/version"
	"k8s.io/component-base/compatibility"
)

// effectiveVersion makes /version say which Kubernetes this behaves like.
type effectiveVersion struct {
	compatibility.EffectiveVersion
	gitVersion string
}

func newEffectiveVersion(gitVersion string) effectiveVersion {
	return effectiveVersion{compatibility.NewEffectiveVersionFromString("1.37", "", ""), gitVersion}
}

// Info implements compatibility.EffectiveVersion.
func (v effectiveVersion) Info() *version.Info {
	info := v.EffectiveVersion.Info()
	info.GitVersion = v.gitVersion
	info.GitCommit, info.GitTreeState, info.BuildDate = "", "", ""
	info.GoVersion, info.Compiler, info.Platform = runtime.Version(), runtime.Compiler, runtime.GOOS+"/"+runtime.GOARCH
	return info
}
