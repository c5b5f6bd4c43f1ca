package harness

import (
	"bytes"
	"os"
)

// watchFor copies what is written to it to a file, and closes found when a
// text has gone by.
type watchFor struct {
	text  []byte
	found chan struct{}
	next  string
	seen  []byte
	done  bool
}

func (w *watchFor) Write(part []byte) (int, error) {
	if !w.done {
		w.seen = append(w.seen, part...)
		if bytes.Contains(append([]byte("\n"), w.seen...), w.text) {
			w.done, w.seen = true, nil
			close(w.found)
		}
	}
	file, err := os.OpenFile(w.next, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	return file.Write(part)
}
