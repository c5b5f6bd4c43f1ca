package volumes

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestAnUpdateIsSeenAsAWhole(t *testing.T) {
	source := &shelf{maps: map[string]map[string]string{"words": {"a": "0", "b": "0", "old": "x"}}}
	h, pod := newHost(t, source), podWith(corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: localName("words")}})
	prepare := func() {
		if _, err := h.Prepare(t.Context(), pod); err != nil {
			t.Error(err)
		}
	}
	prepare()
	dir := h.Path(pod, "v")
	versions := make(chan bool)
	go func() {
		defer close(versions)
		for i := 1; i <= 200; i++ {
			text := strconv.Itoa(i)
			source.maps["words"] = map[string]string{"a": text, "b": text, "new": "x"}
			prepare()
		}
	}()
	for done := false; !done; {
		select {
		case <-versions:
			done = true
		default:
		}
		// One version is what ..data led to at one time.
		version, err := os.Readlink(filepath.Join(dir, dataLink))
		if err != nil {
			t.Fatal(err)
		}
		a, errA := os.ReadFile(filepath.Join(dir, version, "a"))
		b, errB := os.ReadFile(filepath.Join(dir, version, "b"))
		if errA == nil && errB == nil && string(a) != string(b) {
			t.Fatalf("a = %s and b = %s in one version", a, b)
		}
	}
	if got := seen(t, dir); got != "a=200rw-r--r-- b=200rw-r--r-- binary=\x00\xffrw-r--r-- new=xrw-r--r--" {
		t.Errorf("at the end the container sees %q", got)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	versionsLeft := 0
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), "..") && entry.IsDir() {
			versionsLeft++
		}
	}
	if versionsLeft != 1 {
		t.Errorf("%d versions are left: %v", versionsLeft, entries)
	}
}

func TestWhatDoesNotChangeIsNotWritten(t *testing.T) {
	source := &shelf{maps: map[string]map[string]string{"words": {"a": "1"}}}
	h, pod := newHost(t, source), podWith(corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: localName("words")}})
	var before string
	for range 2 {
		if _, err := h.Prepare(t.Context(), pod); err != nil {
			t.Fatal(err)
		}
		now, err := os.Readlink(filepath.Join(h.Path(pod, "v"), dataLink))
		if err != nil || before != "" && now != before {
			t.Errorf("..data leads to %s, before to %s (%v)", now, before, err)
		}
		before = now
	}
}

func TestPathsLeadNowhereElse(t *testing.T) {
	for _, path := range []string{"../x", "a/../../x", "/x"} {
		if _, err := publish(t.TempDir(), map[string]file{path: {uid: -1}}, -1); err == nil {
			t.Errorf("%q was written", path)
		}
	}
}
