package podlogs

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// write makes a sparse file of that size whose first byte is mark.
func write(t *testing.T, path string, size int64, mark byte) {
	t.Helper()
	if err := os.WriteFile(path, []byte{mark}, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
}

func TestASmallLogIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "0.log")
	never := func(context.Context) error { t.Error("the log was reopened"); return nil }
	if size, err := Bound(t.Context(), path, never); size != 0 || err != nil {
		t.Errorf("no log: %d, %v", size, err)
	}
	write(t, path, MaxSize-1, 'x')
	if size, err := Bound(t.Context(), path, never); size != MaxSize-1 || err != nil {
		t.Errorf("a small log: %d, %v", size, err)
	}
}

func TestLogsAreKeptInBounds(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "0.log")
	write(t, path, MaxSize, 'n')
	for i, name := range []string{"20200101-000000.gz", "20200101-000001.gz", "20200101-000002.gz", "20200101-000003"} {
		write(t, path+"."+name, 1, byte('0'+i))
	}
	if size, err := Bound(t.Context(), path, func(context.Context) error { write(t, path, 0, 'f'); return nil }); size != 0 || err != nil {
		t.Fatalf("Bound = %d, %v", size, err)
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) != MaxFiles {
		t.Fatalf("files: %v, %v, want %d", files, err, MaxFiles)
	}
	if filepath.Base(files[1]) != "0.log.20200101-000001.gz" {
		t.Errorf("the oldest that is kept is %s", files[1])
	}
	packed, err := os.Open(path + ".20200101-000003.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	reader, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	if content, err := io.ReadAll(reader); err != nil || string(content) != "3" {
		t.Errorf("compressed: %q, %v", content, err)
	}
}

func TestALogThatIsNotReopenedIsPutBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "0.log")
	write(t, path, MaxSize, 'x')
	broken := errors.New("no runtime")
	if size, err := Bound(t.Context(), path, func(context.Context) error { return broken }); size != MaxSize || !errors.Is(err, broken) {
		t.Errorf("Bound = %d, %v", size, err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != MaxSize {
		t.Errorf("the log: %v, %v", info, err)
	}
}
