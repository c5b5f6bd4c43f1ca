package plan

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what the scenarios give into their files")

// TestScenarios runs testdata/*.txt. A file is one rule, and is made of steps:
// lines that change the cluster (see cluster.do), "----", and the plan of the
// Deployment's last change. The cluster lives on from step to step.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios in testdata: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { runScenario(t, file) })
	}
}

func runScenario(t *testing.T, file string) {
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c := newCluster()
	var after strings.Builder
	for i, step := range steps(string(before)) {
		if i > 0 {
			after.WriteString("\n====\n")
		}
		for _, line := range step {
			if err := c.do(line); err != nil {
				t.Fatalf("%s: %q: %v", file, line, err)
			}
			after.WriteString(line + "\n")
		}
		after.WriteString("----\n" + Make(c.in).String())
	}
	if after.String() == string(before) {
		return
	}
	if *update {
		if err := os.WriteFile(file, []byte(after.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s: the plans are not those of the file (-update writes them)\n--- now\n%s--- file\n%s", file, after.String(), before)
}

// steps cuts a file into the input lines of each step: what is expected goes
// from "----" to "====".
func steps(text string) [][]string {
	var all [][]string
	for step := range strings.SplitSeq(text, "====\n") {
		input, _, _ := strings.Cut(step, "----\n")
		all = append(all, strings.Split(strings.TrimSuffix(input, "\n"), "\n"))
	}
	return all
}
