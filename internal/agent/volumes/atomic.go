package volumes

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// file is one file of a volume.
type file struct {
	content []byte
	mode    fs.FileMode
	// uid owns the file, -1 for root.
	uid int
}

const dataLink = "..data"

// publish makes the files, by relative path, the content of dir. It tells
// whether anything changed. gid, if not negative, may read them all.
func publish(dir string, files map[string]file, gid int64) (changed bool, err error) {
	current, err := filepath.EvalSymlinks(filepath.Join(dir, dataLink))
	if err == nil && same(current, files) {
		return false, nil
	}
	version, err := os.MkdirTemp(dir, time.Now().UTC().Format("..2006_01_02_15_04_05."))
	if err != nil {
		return false, err
	}
	if err := writeAll(version, files, gid); err != nil {
		return false, errors.Join(err, os.RemoveAll(version))
	}
	next := filepath.Join(dir, dataLink+"_tmp")
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if err := os.Symlink(filepath.Base(version), next); err != nil {
		return false, err
	}
	if err := os.Rename(next, filepath.Join(dir, dataLink)); err != nil {
		return false, err
	}
	if err := link(dir, files); err != nil {
		return false, err
	}
	return true, removeOld(dir, filepath.Base(version))
}

func same(dir string, files map[string]file) bool {
	seen := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		wanted, known := files[name]
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if !known || !bytes.Equal(content, wanted.content) {
			return fs.ErrInvalid
		}
		seen++
		return nil
	})
	return err == nil && seen == len(files)
}

func writeAll(dir string, files map[string]file, gid int64) error {
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f, path := files[name], filepath.Join(dir, name)
		if !filepath.IsLocal(name) {
			return fmt.Errorf("the path %q leads out of the volume", name)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.content, 0o600); err != nil {
			return err
		}
		mode := f.mode
		if gid >= 0 {
			mode |= 0o440
		}
		if gid >= 0 || f.uid >= 0 {
			if err := os.Chown(path, f.uid, int(gid)); err != nil {
				return err
			}
		}
		if err := os.Chmod(path, mode); err != nil {
			return err
		}
	}
	return nil
}

// link makes the names that containers see, and removes those of files that
// are no more.
func link(dir string, files map[string]file) error {
	wanted := map[string]bool{}
	for name := range files {
		top, _, _ := strings.Cut(name, "/")
		wanted[top] = true
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasPrefix(name, "..") && !wanted[name] {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
		delete(wanted, name)
	}
	for name := range wanted {
		if err := os.Symlink(filepath.Join(dataLink, name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

func removeOld(dir, keep string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() && strings.HasPrefix(entry.Name(), "..") && entry.Name() != keep {
			if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
