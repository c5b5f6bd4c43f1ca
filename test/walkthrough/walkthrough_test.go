package walkthrough

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coxswain.dev/cox/test/golden"
	"coxswain.dev/cox/test/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// clients are the kubectls that a session is run with: the name of a shell
// function `kubectl`, empty for the one on the PATH.
var clients = []struct{ name, function string }{
	{"stock-kubectl", ""},
	{"cox-kubectl", `kubectl() { cox kubectl "$@"; }; `},
}

func TestEveryCommandOfTheWalkthroughPrintsWhatKubernetesPrints(t *testing.T) {
	sessions, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(sessions) == 0 {
		t.Fatalf("no sessions in testdata: %v", err)
	}
	box := harness.Box(t)
	for _, client := range clients {
		t.Run(client.name, func(t *testing.T) {
			if !golden.Updating() {
				t.Parallel()
			}
			instance := harness.New(t, "--registry-mirror=docker.io=http://127.0.0.1:5000", "--node-name=boat")
			instance.ServeImages(harness.NamedImage{Name: "gasbugs/box:v1", Image: box})
			instance.Up()
			for _, path := range sessions {
				t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
					runSession(t, instance, path, client.function)
				})
			}
		})
	}
}

// leave ends the kubectl that was started last with "&": where it is a function,
// its process is a shell's child.
const leave = `leave() { kill $(cat /proc/$!/task/$!/children) $!; }; `

// runSession types the commands of one session and compares what they print.
func runSession(t *testing.T, instance *harness.Instance, path, function string) {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	steps, rest, err := parseSession(string(text))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	prelude := fmt.Sprintf("%s%scd %s/examples/http-go; ", function, leave, harness.Root())
	for i := range steps {
		result := instance.Shell(prelude + steps[i].command)
		got := mask(result.Stdout + result.Stderr)
		if result.Code != 0 {
			got += fmt.Sprintf("(exit code %d)\n", result.Code)
		}
		// Empty lines at the end cannot be told from those between two steps.
		if got = strings.TrimRight(got, "\n"); got != "" {
			got += "\n"
		}
		if golden.Updating() {
			steps[i].output = got
			continue
		}
		if diff := cmp.Diff(steps[i].output, got); diff != "" {
			t.Errorf("$ %s\n(-want +got)\n%s", steps[i].command, diff)
		}
	}
	if golden.Updating() {
		if err := os.WriteFile(path, []byte(formatSession(steps, rest)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
