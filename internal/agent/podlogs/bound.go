package podlogs

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The bounds of one container's log.
const (
	MaxSize  = 10 << 20
	MaxFiles = 5
)

// Reopen makes the runtime write to a new file at the log's path.
type Reopen func(ctx context.Context) error

// Bound moves a log that has grown over MaxSize aside, and keeps no more than
// MaxFiles of the container's files; all but the two newest are compressed. It
// returns the size of the log that is being written.
func Bound(ctx context.Context, path string, reopen Reopen) (size int64, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil || info.Size() < MaxSize {
		return sizeOf(info), err
	}
	if err := compressOld(path); err != nil {
		return info.Size(), err
	}
	aside := fmt.Sprintf("%s.%s", path, time.Now().UTC().Format("20060102-150405"))
	if err := os.Rename(path, aside); err != nil {
		return info.Size(), err
	}
	if err := reopen(ctx); err != nil {
		// Nothing is lost: the runtime goes on writing to the same file.
		return info.Size(), errors.Join(fmt.Errorf("reopening %s: %w", path, err), os.Rename(aside, path))
	}
	return 0, nil
}

func sizeOf(info fs.FileInfo) int64 {
	if info == nil {
		return 0
	}
	return info.Size()
}

// compressOld makes room for one more file.
func compressOld(path string) error {
	old, err := filepath.Glob(path + ".*")
	if err != nil {
		return err
	}
	slices.Sort(old)
	for len(old) > MaxFiles-2 {
		if err := os.Remove(old[0]); err != nil {
			return err
		}
		old = old[1:]
	}
	for _, file := range old {
		if strings.HasSuffix(file, ".tmp") {
			if err := os.Remove(file); err != nil {
				return err
			}
		} else if !strings.HasSuffix(file, ".gz") {
			if err := compress(file); err != nil {
				return err
			}
		}
	}
	return nil
}

func compress(path string) error {
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	packed := gzip.NewWriter(to)
	_, err = io.Copy(packed, from)
	if err = errors.Join(err, packed.Close(), to.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".tmp", path+".gz"); err != nil {
		return err
	}
	return os.Remove(path)
}
