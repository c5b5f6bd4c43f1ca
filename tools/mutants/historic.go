package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// historic is a mistake that Kubernetes has made, made here by hand: a file in
// tools/mutants/historic. It begins with sentences about the mistake; then come
// the edits that bring it back, and the tests that are to see it:
//
//	edit FILE
//	<<<<
//	what is there
//	====
//	what is there instead
//	>>>>
//	tests ARGUMENTS of go test
type historic struct {
	name, about string
	edits       []replacement
	tests       []string
}

// replacement replaces a text that is in a file exactly once.
type replacement struct{ file, before, after string }

const historicDir = "tools/mutants/historic"

// readHistoric reads all of them whose name has the text only in it.
func readHistoric(only string) ([]historic, error) {
	files, err := filepath.Glob(filepath.Join(historicDir, "*.txt"))
	if err != nil {
		return nil, err
	}
	var all []historic
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		h, err := parseHistoric(strings.TrimSuffix(filepath.Base(file), ".txt"), string(content))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if strings.Contains(h.name, only) {
			all = append(all, h)
		}
	}
	return all, nil
}

var editBlock = regexp.MustCompile(`(?ms)^edit (\S+)\n<<<<\n(.*?)^====\n(.*?)^>>>>\n`)

func parseHistoric(name, content string) (historic, error) {
	h := historic{name: name}
	for _, found := range editBlock.FindAllStringSubmatch(content, -1) {
		h.edits = append(h.edits, replacement{found[1], found[2], found[3]})
	}
	for line := range strings.Lines(editBlock.ReplaceAllString(content, "")) {
		if arguments, ok := strings.CutPrefix(line, "tests "); ok {
			h.tests = strings.Fields(arguments)
		} else {
			h.about += line
		}
	}
	if len(h.edits) == 0 || len(h.tests) == 0 || strings.TrimSpace(h.about) == "" {
		return h, fmt.Errorf("it needs sentences about the mistake, edits and tests")
	}
	return h, nil
}

// apply is what the files look like with the mistake in them.
func (h historic) apply() (map[string]string, error) {
	contents := map[string]string{}
	for _, e := range h.edits {
		path, err := filepath.Abs(e.file)
		if err != nil {
			return nil, err
		}
		text, read := contents[path]
		if !read {
			content, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			text = string(content)
		}
		if n := strings.Count(text, e.before); n != 1 {
			return nil, fmt.Errorf("%s: %d places in %s have what it replaces, want 1: bring the mutant up to date", h.name, n, e.file)
		}
		contents[path] = strings.Replace(text, e.before, e.after, 1)
	}
	return contents, nil
}

// failedTest is what a test says that has seen the mistake.
var failedTest = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

// try tells which tests see the mistake; none if it lives.
func (h historic) try(ctx context.Context) (seenBy []string, err error) {
	contents, err := h.apply()
	if err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp("", "historic-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for path, text := range contents {
		copied := filepath.Join(work, filepath.Base(path))
		if err := os.WriteFile(copied, []byte(text), 0o644); err != nil {
			return nil, err
		}
		overlay.Replace[path] = copied
	}
	content, err := json.Marshal(overlay)
	if err != nil {
		return nil, err
	}
	list := filepath.Join(work, "overlay.json")
	if err := os.WriteFile(list, content, 0o644); err != nil {
		return nil, err
	}
	out, err := exec.CommandContext(ctx, "go", append([]string{"test", "-overlay", list}, h.tests...)...).CombinedOutput()
	if err == nil {
		return nil, nil
	}
	for _, found := range failedTest.FindAllSubmatch(out, -1) {
		if name := string(found[1]); !slices.Contains(seenBy, name) {
			seenBy = append(seenBy, name)
		}
	}
	if len(seenBy) == 0 {
		return nil, fmt.Errorf("%s: no test failed, and go test did: %w\n%s", h.name, err, out)
	}
	return seenBy, nil
}

// runHistoric tries the mistakes of Kubernetes' history.
func runHistoric(ctx context.Context, only string) (caught, lives int, err error) {
	all, err := readHistoric(only)
	if err != nil {
		return 0, 0, err
	}
	for _, h := range all {
		seenBy, err := h.try(ctx)
		switch {
		case err != nil:
			return caught, lives, err
		case len(seenBy) == 0:
			lives++
			fmt.Printf("LIVES      %s\n", h.name)
		default:
			caught++
			fmt.Printf("caught     %s: by %s\n", h.name, shortly(seenBy))
		}
	}
	return caught, lives, nil
}

// shortly names the first test, the most exact one of it, and how many more
// there are.
func shortly(tests []string) string {
	first := tests[0]
	for _, test := range tests {
		if strings.HasPrefix(test, first+"/") {
			first = test
			break
		}
	}
	if len(tests) <= 2 {
		return first
	}
	return fmt.Sprintf("%s and %d more", first, len(tests)-2)
}
