package golden

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// World is what a scenario changes and asks.
type World interface {
	// Do takes one statement: a line, with the indented lines below it.
	Do(statement string) error
	// Answer is what follows from all that was done.
	Answer() string
}

// Scenarios runs testdata/*.txt, each in a world of its own. A file is one
// rule, and is made of steps: statements that change the world, "----", and
// the answer, which an empty line ends. Lines that begin with # are comments.
// The world lives on from step to step.
func Scenarios[W World](t *testing.T, newWorld func() W) {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios in testdata: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { play(t, file, newWorld()) })
	}
}

func play(t *testing.T, file string, w World) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var now strings.Builder
	for i, step := range steps(string(text)) {
		if i > 0 {
			now.WriteString("\n")
		}
		for _, statement := range statements(step) {
			if err := w.Do(statement); err != nil {
				t.Fatalf("%s: %q: %v", file, statement, err)
			}
		}
		now.WriteString(step + "----\n" + w.Answer())
	}
	Check(t, file, now.String())
}

// steps cuts a file into the input of each step.
func steps(text string) []string {
	var all []string
	input, expected := "", false
	for line := range strings.Lines(text) {
		switch {
		case line == "----\n":
			all, input, expected = append(all, strings.TrimLeft(input, "\n")), "", true
		case expected:
			expected = line != "\n"
		default:
			input += line
		}
	}
	return all
}

// statements are the lines of a step, each with the indented ones below it.
func statements(step string) []string {
	var all []string
	for line := range strings.Lines(step) {
		switch {
		case strings.HasPrefix(line, "#") || line == "\n":
		case strings.HasPrefix(line, " ") && len(all) > 0:
			all[len(all)-1] += line
		default:
			all = append(all, line)
		}
	}
	return all
}
