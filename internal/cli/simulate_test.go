package cli_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"coxswain.dev/cox/internal/sim"
)

// simulated is what cox simulate prints, with its exit code.
func simulated(args string) string {
	return outcome(strings.NewReader(""), strings.Fields(args)...)
}

// TestSimulate: whole time lines, each from its seed.
func TestSimulate(t *testing.T) {
	const web, recreate = "-f testdata/simulate/web.yaml --update testdata/simulate/web-v2.yaml", "-f testdata/simulate/recreate.yaml --update testdata/simulate/recreate-v2.yaml"
	for name, args := range map[string]string{
		"a-healthy-rolling-update":                 web + " --seed 1",
		"an-image-that-never-becomes-ready":        web + " --seed 1 --fault never-ready",
		"an-image-that-never-becomes-ready-undone": web + " --update testdata/simulate/web.yaml --seed 2 --fault never-ready --at 0s,1m",
		"recreate-waits-for-a-pod-that-hangs":      recreate + " --seed 3 --fault pod-hangs@0s",
		"recreate":                                 recreate + " --seed 4 --ready-after 2s",
		"a-crash-and-an-eviction":                  web + " --seed 5 --fault crash-after-write,pod-evicted",
		"faults-that-break-a-bound":                web + " --seed 6 --fault pod-vanishes@0.01s,pod-vanishes@0.02s",
		"drawn-faults":                             web + " --seed 7 --fault random=8",
		"a-creation-under-a-quota":                 "-f testdata/simulate/web.yaml --seed 8 --fault quota@0s",
		"an-update-into-an-update":                 web + " --update testdata/simulate/web-v3.yaml --at 0s,3s --seed 9 --fault silent-pods",
		"a-longer-min-ready":                       "-f testdata/simulate/web.yaml --update testdata/simulate/web-patient.yaml --seed 11",
		"paused-from-the-beginning":                "-f testdata/simulate/paused.yaml --update testdata/simulate/web.yaml --seed 12",
		"an-image-by-flag":                         "-f testdata/simulate/web.yaml --image web=web:v9 --seed 10 --fault nodes-full@1s,outage",
		"manifests-of-older-versions":              "-f testdata/simulate/web-extensions.yaml --update testdata/simulate/web-v2-beta1.yaml --seed 11",
	} {
		t.Run(name, func(t *testing.T) {
			g := newGolden(t, "simulate-"+name)
			first := simulated("simulate " + args)
			if again := simulated("simulate " + args); again != first {
				t.Errorf("the same seed tells two stories:\n%s\n%s", first, again)
			}
			g.add("cox simulate "+args, first)
			g.compare()
		})
	}
}

// TestSimulateJSON: the story has the whole time line, and the seed that was
// drawn repeats it.
func TestSimulateJSON(t *testing.T) {
	const args = "simulate -f testdata/simulate/web.yaml --update testdata/simulate/web-v2.yaml --fault random -o json"
	first := simulated(args)
	var story sim.Story
	if err := json.NewDecoder(strings.NewReader(first)).Decode(&story); err != nil {
		t.Fatalf("%v in %s", err, first)
	}
	if story.Name != "web" || story.Namespace != "shop" || len(story.Events) < 10 || story.Verdict.Violation != "" {
		t.Errorf("the story is %s", first)
	}
	if again := simulated(fmt.Sprintf("%s --seed %d", args, story.Seed)); again != first {
		t.Errorf("seed %d tells another story:\n%s\n%s", story.Seed, first, again)
	}
}

// TestSimulateBadInput: what is wrong is said with its field.
func TestSimulateBadInput(t *testing.T) {
	g := newGolden(t, "simulate-bad-input")
	const web = "simulate -f testdata/simulate/web.yaml"
	for _, args := range []string{
		"simulate",
		"simulate -f testdata/simulate/missing.yaml",
		"simulate -f testdata/simulate/wrong.yaml",
		"simulate -f testdata/simulate/word.yaml",
		"simulate -f testdata/simulate/unknown.yaml",
		"simulate -f testdata/simulate/version.yaml deploy/web",
		"simulate -f testdata/simulate/version.yaml deploy/old",
		"simulate -f testdata/simulate/large.yaml",
		"simulate -f testdata/simulate/two.yaml",
		"simulate -f testdata/simulate/two.yaml deploy/third",
		web + " web",
		web + " deploy/web deploy/other",
		web + " -f testdata/simulate/web-v2.yaml",
		web + " --update testdata/simulate/selector.yaml",
		web + " --update testdata/simulate/unknown.yaml",
		web + " --image web",
		web + " --image other=web:v2",
		web + " --fault meteor",
		web + " --fault pod-crash",
		web + " --update testdata/simulate/missing.yaml",
		"simulate -f - --update -",
		web + " --fault crash@noon",
		web + " --fault random=many",
		web + " --fault never-ready@3s",
		web + " --at 3s",
		web + " --at 3s,1s",
		web + " --ready-after -1s",
		web + " -o yaml",
	} {
		g.add("cox "+args, simulated(args))
	}
	g.add("cox simulate --fault list", simulated("simulate --fault list"))
	g.compare()
}
