package walkthrough

import "testing"

func TestSessionSurvivesParsingAndFormatting(t *testing.T) {
	const text = "# A comment.\n\n$ kubectl get \\\n  pods\nNAME\n\nmore\n\n# Next.\n$ true\n"
	steps, rest, err := parseSession(text)
	if err != nil {
		t.Fatal(err)
	}
	if len(steps) != 2 || steps[0].command != "kubectl get \\\n  pods" || steps[0].output != "NAME\n\nmore\n" {
		t.Fatalf("parsed %q", steps)
	}
	if got := formatSession(steps, rest); got != text {
		t.Errorf("formatted\n%q, want\n%q", got, text)
	}
}

func TestMaskHidesOnlyWhatChangesFromRunToRun(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"pod line", "http-go-6c5d8b9f7d-x2k5p   1/1     Running   0          15s", "http-go-HASH-XXXXX   1/1   Running   0   AGE"},
		{"replica set", "http-go-6c5d8b9f7d   3   3", "http-go-HASH   3   3"},
		{"deployment name stays", "deployment.apps/http-go scaled", "deployment.apps/http-go scaled"},
		{"addresses", "10.244.0.7 10.96.0.1 192.168.1.1", "POD-IP SERVICE-IP 192.168.1.1"},
		{"counts stay", "3/3     3            3", "3/3   3   3"},
		{"indent stays", "    Image:      x", "    Image:   x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := mask(c.in); got != c.want {
				t.Errorf("mask(%q) = %q, want %q", c.in, got, c.want)
			}
		})
	}
}
