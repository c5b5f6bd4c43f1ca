package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAFileThatKubectlCannotReadIsExplained(t *testing.T) {
	for name, test := range map[string]struct{ content, message, want string }{
		"no colon":       {"kind: Deployment\nmetadata\n  name: web\n", "error: error parsing FILE: error converting YAML to JSON: yaml: line 3: could not find expected ':'\n", `FILE: line 2: "metadata" lacks its colon: write metadata:` + "\n"},
		"a tab":          {"kind: Deployment\nmetadata:\n\tname: web\n", "error: error parsing FILE: error converting YAML to JSON: yaml: line 3: found character that cannot start any token\n", "FILE: line 3 begins with a tab: YAML takes only spaces\n"},
		"something else": {"{", "error: error parsing FILE: error converting YAML to JSON: yaml: line 1: did not find expected node content\n", ""},
		"another error":  {"metadata\n  name: web\n", "error: FILE: something\n", ""},
	} {
		file := filepath.Join(t.TempDir(), "app.yaml")
		if err := os.WriteFile(file, []byte(test.content), 0o600); err != nil {
			t.Fatal(err)
		}
		got := strings.ReplaceAll(yamlHint(strings.ReplaceAll(test.message, "FILE", file)), file, "FILE")
		if got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}
