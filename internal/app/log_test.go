package app

import (
	"errors"
	"strings"
	"testing"

	"k8s.io/klog/v2"
)

func TestLibrariesAreSilentOnceStoppingHasBegun(t *testing.T) {
	defer klog.ClearLogger()
	for level, wantAfter := range map[string]bool{"warn": false, "debug": true} {
		var out strings.Builder
		stopped := make(chan struct{})
		logger, err := newLogger(&out, level, stopped)
		if err != nil {
			t.Fatal(err)
		}
		klog.ErrorS(errors.New("early"), "before")
		for _, words := range givenUp {
			klog.ErrorS(errors.New("stream closed"), words)
		}
		close(stopped)
		klog.ErrorS(errors.New("late"), "after")
		logger.Error("ours")
		klog.Flush()
		text := out.String()
		if !strings.Contains(text, "early") || !strings.Contains(text, "ours") || strings.Contains(text, "late") != wantAfter || strings.Contains(text, "stream closed") != wantAfter {
			t.Errorf("at %s:\n%s", level, text)
		}
	}
}

func TestAnUnknownLevelIsRefused(t *testing.T) {
	if _, err := newLogger(nil, "loud", nil); err == nil || !strings.Contains(err.Error(), `--log-level "loud" is not debug, info, warn or error`) {
		t.Errorf("error %v", err)
	}
}
