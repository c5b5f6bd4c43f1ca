package cri

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// maxLogBytes bounds containerd's log. It only says warnings, so this is many
// months of a healthy machine; one older file of the same size is kept.
const maxLogBytes = 4 << 20

// trimLog keeps the log within its bound. containerd holds the file open and
// knows nothing of it, so the content is moved, not the file.
func trimLog(path string) {
	info, err := os.Stat(path)
	if err != nil || info.Size() < maxLogBytes {
		return
	}
	content, err := tail(path, info.Size()-maxLogBytes, maxLogBytes)
	if err == nil && replaceFile(path+".1", content, 0o600) == nil || info.Size() > 4*maxLogBytes {
		os.Truncate(path, 0)
	}
}

func tail(path string, from, most int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if _, err := file.Seek(max(from, 0), io.SeekStart); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(file, most))
}

// explain adds to an error what containerd itself said last about it, from a
// position in its log on.
func (e *Engine) explain(err error, from int64) error {
	said, readErr := tail(e.config.logFile(), from, maxLogBytes)
	if readErr != nil {
		return err
	}
	if last := lastComplaint(said); last != "" {
		return fmt.Errorf("%w: it said: %s (all of it is in %s)", err, last, filepath.Clean(e.config.logFile()))
	}
	return fmt.Errorf("%w: see %s", err, e.config.logFile())
}

// lastComplaint is the last line of a log at error level or without a level:
// what a process prints when it gives up.
func lastComplaint(log []byte) string {
	lines := bytes.Split(bytes.TrimSpace(log), []byte("\n"))
	for i := len(lines) - 1; i >= 0; i-- {
		line := strings.TrimSpace(string(lines[i]))
		if line == "" || strings.Contains(line, "level=warning") || strings.Contains(line, "level=info") {
			continue
		}
		const most = 500
		if len(line) > most {
			line = line[:most] + "…"
		}
		return line
	}
	return ""
}
