package rollout

import (
	"strconv"
	"strings"
	"testing"
)

func TestTheListOfRevisionsKeepsTheNewest(t *testing.T) {
	if got := appendRevision("", 7); got != "7" {
		t.Errorf("the first is %q", got)
	}
	if got := appendRevision("1,3", 7); got != "1,3,7" {
		t.Errorf("the third is %q", got)
	}
	full := strings.Repeat("1,", revisionHistoryLimitBytes/2-1) + "1"
	if got, want := appendRevision(full, 2), full[2:]+",2"; got != want || len(got) > revisionHistoryLimitBytes {
		t.Errorf("a full list becomes %q, %d bytes", got, len(got))
	}
	exact := full[1:] // one byte less than the limit lets in nothing more
	if got := appendRevision(exact, 22); len(got) > revisionHistoryLimitBytes || !strings.HasSuffix(got, ",22") {
		t.Errorf("a list of %d bytes becomes one of %d", len(exact), len(got))
	}
	fits := strings.Repeat("1", revisionHistoryLimitBytes-2)
	if got, want := appendRevision(fits, 2), fits+",2"; got != want {
		t.Errorf("what just fits has become %d bytes long, want %d", len(got), len(want))
	}
	spoilt := strings.Repeat("x", revisionHistoryLimitBytes+1)
	if got := appendRevision(spoilt, 2); got != "2" {
		t.Errorf("after a spoilt list: %q", got)
	}
	list := ""
	for n := range int64(5000) {
		list = appendRevision(list, n)
	}
	numbers := strings.Split(list, ",")
	if len(list) > revisionHistoryLimitBytes || numbers[len(numbers)-1] != "4999" || numbers[0] != strconv.Itoa(5000-len(numbers)) {
		t.Errorf("after 5,000 revisions: %s … %s, %d bytes", numbers[0], numbers[len(numbers)-1], len(list))
	}
}
