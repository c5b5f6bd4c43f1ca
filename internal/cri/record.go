package cri

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
)

// record is what engine.json keeps about the running engine, so that the next
// cox knows it again.
type record struct {
	PID int `json:"pid"`
	// StartTicks tells a process from another that got its number later.
	StartTicks uint64 `json:"startTicks"`
	// Fingerprint is of the configuration, environment and binary that it
	// was started with.
	Fingerprint string `json:"fingerprint"`
}

// readRecord returns the record and whether its process still runs.
func readRecord(path string) (record, bool) {
	var r record
	content, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(content, &r) != nil || r.PID <= 0 {
		return record{}, false
	}
	ticks, err := startTicks(r.PID)
	return r, err == nil && ticks == r.StartTicks
}

func (r record) write(path string) error {
	content, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := replaceFile(path, append(content, '\n'), 0o600); err != nil {
		return fmt.Errorf("recording the engine: %w", err)
	}
	return nil
}

// fingerprint changes when the engine has to be started anew to be as it
// should. The binary counts by size and time: a build in place is noticed, and
// nothing of 40 MB is read at each start.
func (e *Engine) fingerprint() (string, error) {
	binary, err := os.Stat(e.config.binary("containerd"))
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n%d %d\n%q\n", e.text, binary.Size(), binary.ModTime().UnixNano(), tuning)
	return hex.EncodeToString(sum.Sum(nil)), nil
}
