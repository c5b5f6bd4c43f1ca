package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/tools/go/packages"
)

// switchName is the environment variable with the number of the mutant that is on.
const switchName = "MUTANT"

// switchSource is added to the package.
const switchSource = `package %s

import (
	"os"
	"strconv"
)

var mutantNumber, _ = strconv.Atoi(os.Getenv("` + switchName + `"))

func mutantOn(id int) bool { return id == mutantNumber }
`

// binary is a test binary that holds all mutants of a package.
type binary struct {
	name    string // of the package
	dir     string // where its tests run
	file    string
	work    string
	flags   []string // of the tests
	mutants []mutant
}

// build compiles the tests of a package with all its mutants.
func build(ctx context.Context, path string) (*binary, error) {
	loaded, err := packages.Load(&packages.Config{Context: ctx, Mode: packages.LoadSyntax}, path)
	if err != nil {
		return nil, err
	}
	if len(loaded) != 1 || len(loaded[0].Errors) > 0 {
		return nil, fmt.Errorf("it does not compile: %v", loaded[0].Errors)
	}
	p := loaded[0]
	work, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return nil, err
	}
	b := &binary{name: p.Name, dir: filepath.Dir(p.GoFiles[0]), work: work, file: filepath.Join(work, "tests")}
	replaced := map[string]string{}
	for n, file := range p.Syntax {
		path := p.GoFiles[n]
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, errors.Join(err, b.remove())
		}
		s := &source{fset: p.Fset, info: p.TypesInfo, text: string(text), name: filepath.Base(path), mutants: &b.mutants}
		for _, declaration := range file.Decls {
			s.mutate(declaration)
		}
		replaced[path] = s.render()
	}
	replaced[filepath.Join(b.dir, "mutant_switch.go")] = fmt.Sprintf(switchSource, p.Name)
	if err := b.compile(ctx, p.PkgPath, replaced); err != nil {
		return nil, errors.Join(err, b.remove())
	}
	// Tests with rapid would leave a file for each mutant that they catch.
	if quiet := "-rapid.nofailfile"; exec.CommandContext(ctx, b.file, "-test.list", "^$", quiet).Run() == nil {
		b.flags = []string{quiet}
	}
	return b, nil
}

func (b *binary) remove() error { return os.RemoveAll(b.work) }

// compile builds the tests with other contents of some files.
func (b *binary) compile(ctx context.Context, path string, contents map[string]string) error {
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for file, text := range contents {
		copied := filepath.Join(b.work, filepath.Base(file))
		if err := os.WriteFile(copied, []byte(text), 0o644); err != nil {
			return err
		}
		overlay.Replace[file] = copied
	}
	content, err := json.Marshal(overlay)
	if err != nil {
		return err
	}
	list := filepath.Join(b.work, "overlay.json")
	if err := os.WriteFile(list, content, 0o644); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-overlay", list, "-o", b.file, path).CombinedOutput()
	if err != nil {
		return fmt.Errorf("the mutants do not compile: %w\n%s", err, out)
	}
	return nil
}

func (b *binary) chosen(only string) (chosen []mutant) {
	for _, m := range b.mutants {
		if strings.Contains(m.key(), only) {
			chosen = append(chosen, m)
		}
	}
	return chosen
}

// progressEvery is how many mutants are tried between two words about it.
const progressEvery = 100

// try runs the tests against each mutant and tells which are caught. Without a
// mutant they must pass.
func (b *binary) try(ctx context.Context, mutants []mutant) (caught []bool, err error) {
	start := time.Now()
	if out, failed := b.test(ctx, 0, 2*time.Minute); failed {
		return nil, fmt.Errorf("the tests fail without any mutant:\n%s", out)
	}
	limit := 10*time.Since(start) + 5*time.Second
	caught = make([]bool, len(mutants))
	var group errgroup.Group
	var done atomic.Int32
	group.SetLimit(runtime.NumCPU())
	for n, m := range mutants {
		group.Go(func() error {
			if ctx.Err() == nil {
				_, caught[n] = b.test(ctx, m.ID, limit)
				if n := done.Add(1); n%progressEvery == 0 {
					fmt.Fprintf(os.Stderr, "%s: %d of %d mutants tried\n", b.name, n, len(mutants))
				}
			}
			return ctx.Err()
		})
	}
	return caught, group.Wait()
}

// test runs the tests with a mutant on. One that makes them run for ever is
// caught too.
func (b *binary) test(ctx context.Context, id int, limit time.Duration) (output string, failed bool) {
	command := exec.CommandContext(ctx, b.file, append([]string{"-test.failfast", "-test.timeout", limit.String()}, b.flags...)...)
	command.Dir = b.dir
	command.Env = append(os.Environ(), switchName+"="+strconv.Itoa(id))
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	err := command.Run()
	return out.String(), err != nil
}
