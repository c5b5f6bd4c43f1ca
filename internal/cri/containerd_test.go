package cri

import (
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"coxswain.dev/cox/test/golden"
)

func TestContainerdConfig(t *testing.T) {
	config := Config{
		BinDir:  "/usr/local/lib/coxswain",
		DataDir: "/var/lib/coxswain",
		RunDir:  "/run/coxswain",
	}.withDefaults()
	long := config
	long.RunDir = "/a/run/directory/too/long/for/the/sockets/of/shims"
	tests := []struct {
		file   string
		config Config
		facts  facts
	}{
		{"usual.toml", config, facts{Snapshotter: "overlayfs"}},
		{"confined.toml", long, facts{Snapshotter: "native", RestrictOOM: true}},
	}
	for _, test := range tests {
		t.Run(test.file, func(t *testing.T) {
			got := strings.Replace(test.facts.containerdConfig(test.config), "linux/"+runtime.GOARCH, "linux/amd64", 1)
			golden.Check(t, filepath.Join("testdata", test.file), got)
		})
	}
}
