package walkthrough

import (
	"regexp"
	"strings"
)

// masks replace what differs from run to run: names with random parts,
// addresses, times and identifiers. Nothing else is masked.
var masks = []struct {
	pattern *regexp.Regexp
	mask    string
}{
	{regexp.MustCompile(`\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`), "UID"},
	{regexp.MustCompile(`\b(sha256:|containerd://)[0-9a-f]{64}\b`), "${1}ID"},
	{regexp.MustCompile(`-([bcdfghjklmnpqrstvwxz2456789]{8,10})-[bcdfghjklmnpqrstvwxz2456789]{5}\b`), "-HASH-XXXXX"},
	{regexp.MustCompile(`(http-go[a-z-]*)-[bcdfghjklmnpqrstvwxz2456789]{8,10}\b`), "$1-HASH"},
	{regexp.MustCompile(`pod-template-hash=\w+`), "pod-template-hash=HASH"},
	{regexp.MustCompile(`pod-template-hash: "?\w+"?`), "pod-template-hash: HASH"},
	{regexp.MustCompile(`kube-api-access-\w{5}`), "kube-api-access-XXXXX"},
	{regexp.MustCompile(`\b10\.244\.\d+\.\d+\b`), "POD-IP"},
	{regexp.MustCompile(`\b10\.(9[6-9]|10\d|11[01])\.\d+\.\d+\b`), "SERVICE-IP"},
	{regexp.MustCompile(`\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w+ \d{4} \d\d:\d\d:\d\d [+-]\d{4}`), "TIME"},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`), "TIME"},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4} \w+`), "TIME"},
	// A column's age, not the "delay=0s" of a probe.
	{regexp.MustCompile(`(?m)(^|[ \t(])(\d+h)?(\d+m)?\d+s\b`), "${1}AGE"},
	{regexp.MustCompile(`(?m)(^|[ \t(])\d+m\b`), "${1}AGE"},
	{regexp.MustCompile(`\bin \d+(\.\d+)?(ms|s|µs)`), "in AGE"},
	// kubectl says it since v1.34, the one on the PATH may be older.
	{regexp.MustCompile(`(?m) deleted from \S+ namespace$`), " deleted"},
	// kubectl v1.32 sometimes reads the first message of a WebSocket, which
	// is empty, before it knows of the stream that the message is for.
	{regexp.MustCompile(`E\d{4} .*Unknown stream id \d, discarding message\n`), ""},
	// kubectl v1.37 names the thresholds of a probe in other words.
	{regexp.MustCompile(`successThreshold=(\d+) failureThreshold=(\d+)`), "#success=$1 #failure=$2"},
	{regexp.MustCompile(`resourceVersion: "\d+"`), `resourceVersion: "N"`},
	{regexp.MustCompile(`\btmp/coxt-\d+`), "tmp/DIR"},
}

var spaces = regexp.MustCompile(` {2,}`)

// mask makes the output of a command comparable. The width of a column
// depends on what has been masked, so that runs of blanks become three.
func mask(output string) string {
	for _, m := range masks {
		output = m.pattern.ReplaceAllString(output, m.mask)
	}
	lines := strings.Split(output, "\n")
	for i, line := range lines {
		body := strings.TrimLeft(line, " ")
		indent := line[:len(line)-len(body)]
		lines[i] = strings.TrimRight(indent+spaces.ReplaceAllString(body, "   "), " ")
	}
	return strings.Join(lines, "\n")
}
