package cri

import (
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

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
			golden := filepath.Join("testdata", test.file)
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("the configuration differs (-want +got), -update writes it:\n%s", diff)
			}
		})
	}
}
