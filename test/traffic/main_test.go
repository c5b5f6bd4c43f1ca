package traffic

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"coxswain.dev/cox/test/harness"
)

func TestMain(m *testing.M) {
	if ways := os.Getenv(waysVariable); ways != "" {
		if err := send(ways); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	harness.Main(m)
}

// begin sends over the ways from inside the instance's network namespace,
// until the returned function is called.
func begin(t *testing.T, instance *harness.Instance, ways []Way) (finish func() []Report) {
	t.Helper()
	text, err := json.Marshal(ways)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	sender := instance.Command(t.Context(), self)
	sender.Env = append(sender.Env, waysVariable+"="+string(text))
	sender.Stderr = os.Stderr
	stdin, err := sender.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := sender.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := sender.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make([]byte, len("sending\n"))
	if _, err := io.ReadFull(stdout, ready); err != nil {
		t.Fatalf("the sender did not begin: %v", err)
	}
	return func() (reports []Report) {
		t.Helper()
		if err := stdin.Close(); err != nil {
			t.Fatal(err)
		}
		if err := json.NewDecoder(stdout).Decode(&reports); err != nil {
			t.Fatalf("the sender's reports: %v", err)
		}
		if err := sender.Wait(); err != nil {
			t.Fatal(err)
		}
		return reports
	}
}

// table is the reports for people.
func table(reports []Report) string {
	var text strings.Builder
	out := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "way\tanswered\tfailed\tlongest gap\tp50\tp99\tfailures")
	for _, r := range reports {
		var kinds []string
		for _, kind := range slices.Sorted(maps.Keys(r.Failures)) {
			kinds = append(kinds, fmt.Sprintf("%d %s", r.Failures[kind], kind))
		}
		fmt.Fprintf(out, "%s\t%d\t%d\t%d ms\t%.1f ms\t%.1f ms\t%s\n", r.Name, r.Answers, r.Failed(), r.Gap.Milliseconds(),
			r.P50.Seconds()*1e3, r.P99.Seconds()*1e3, strings.Join(kinds, ", "))
	}
	out.Flush()
	return text.String()
}
