package cli_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what the commands print into the golden files")

// golden compares what commands print, one after the other, with a file.
type golden struct {
	t    *testing.T
	file string
	text strings.Builder
}

func newGolden(t *testing.T, name string) *golden {
	return &golden{t: t, file: filepath.Join("testdata", name+".txt")}
}

// add is a command with what it printed.
func (g *golden) add(command, output string) {
	if g.text.Len() > 0 {
		g.text.WriteString("\n")
	}
	g.text.WriteString("$ " + command + "\n" + output)
}

func (g *golden) compare() {
	g.t.Helper()
	if *update {
		if err := os.WriteFile(g.file, []byte(g.text.String()), 0o644); err != nil {
			g.t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(g.file)
	if err != nil {
		g.t.Fatal(err)
	}
	if string(want) != g.text.String() {
		g.t.Errorf("%s is not what is printed (-update writes it)\n--- now\n%s--- file\n%s", g.file, g.text.String(), want)
	}
}
