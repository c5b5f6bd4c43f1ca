package cri

import (
	_ "embed"
	"runtime"
	"strings"
	"text/template"
)

//go:embed containerd.toml.tmpl
var containerdTemplate string

var containerdConfigTemplate = template.Must(template.New("containerd.toml").Option("missingkey=error").Parse(containerdTemplate))

// maxShimSocketDir is the longest directory that a shim's socket, which is
// named by 64 characters, can be in.
const maxShimSocketDir = 42

// containerdConfig is the whole configuration file.
func (f facts) containerdConfig(c Config) string {
	sockets := c.runPath("s")
	if len(sockets) > maxShimSocketDir {
		sockets = "" // containerd's own choice, below /run/containerd
	}
	var text strings.Builder
	err := containerdConfigTemplate.Execute(&text, map[string]any{
		"Root":        c.rootDir(),
		"State":       c.stateDir(),
		"Socket":      c.socket(),
		"ShimSockets": sockets,
		"Certs":       c.certsDir(),
		"CNIConf":     c.CNIConfDir,
		"CNIBin":      c.CNIBinDir,
		"Shim":        c.binary("containerd-shim-runc-v2"),
		"Runc":        c.binary("runc"),
		"RuncState":   c.runPath("runc"),
		"Pause":       PauseImage,
		"Snapshotter": f.Snapshotter,
		"RestrictOOM": f.RestrictOOM,
		"Platform":    "linux/" + runtime.GOARCH,
	})
	if err != nil {
		panic("containerd.toml.tmpl: " + err.Error()) // the template is our own and tested
	}
	return text.String()
}
