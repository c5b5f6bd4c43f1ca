// Command box is what tests run inside a Pod where others have a shell: a few
// commands that use their streams, by the name that it is called by.
package main

import (
	"archive/tar"
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	arguments := os.Args[1:]
	name := filepath.Base(os.Args[0])
	if name == "box" && len(arguments) > 0 {
		name, arguments = arguments[0], arguments[1:]
	}
	command, known := commands[name]
	if !known {
		fmt.Fprintf(os.Stderr, "box: %q is no command\n", name)
		os.Exit(127)
	}
	if err := command(arguments); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

var commands = map[string]func(arguments []string) error{
	"wait": func([]string) error {
		told := make(chan os.Signal, 1)
		signal.Notify(told, unix.SIGTERM)
		<-told
		return nil
	},
	"cat": func([]string) error {
		_, err := io.Copy(os.Stdout, os.Stdin)
		return err
	},
	// say OUT ERR prints to both outputs.
	"say": func(a []string) error {
		fmt.Println(a[0])
		fmt.Fprintln(os.Stderr, a[1])
		return nil
	},
	// line answers one line of stdin, for a while: containerd attaches to the
	// output a moment after the input, and what is printed between is not
	// seen by who has attached.
	"line": func([]string) error {
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		for range 40 {
			fmt.Print("it said: ", line)
			time.Sleep(50 * time.Millisecond)
		}
		return err
	},
	// zeros N prints so many bytes; sum prints how many it has read, and
	// their hash.
	"zeros": func(a []string) error {
		n, err := strconv.ParseInt(a[0], 10, 64)
		if err == nil {
			_, err = io.CopyN(os.Stdout, zeros{}, n)
		}
		return err
	},
	"sum": func([]string) error {
		hash := sha256.New()
		n, err := io.Copy(hash, os.Stdin)
		fmt.Printf("%d %x\n", n, hash.Sum(nil))
		return err
	},
	// exit N ends with that code, or with the one that stdin says.
	"exit": func(a []string) error {
		if len(a) == 0 {
			text, err := io.ReadAll(os.Stdin)
			if err != nil {
				return err
			}
			a = strings.Fields(string(text))
		}
		code, err := strconv.Atoi(a[0])
		if err == nil {
			os.Exit(code)
		}
		return err
	},
	"size": size,
	"tar":  archive,
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// size prints the terminal's rows and columns, once it has any: they are sent
// when the command runs already.
func size([]string) error {
	for range 1000 {
		size, err := unix.IoctlGetWinsize(0, unix.TIOCGWINSZ)
		if err != nil {
			return err
		}
		if size.Row > 0 {
			fmt.Println(size.Row, "rows,", size.Col, "columns")
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return errors.New("the terminal has no size")
}

// archive is as much of tar as kubectl cp uses: "cf - PATH" and "-xmf - -C DIR".
func archive(a []string) error {
	if a[0] == "cf" {
		return pack(a[2])
	}
	return unpack(a[len(a)-1])
}

func pack(top string) error {
	writer := tar.NewWriter(os.Stdout)
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		header, err := tar.FileInfoHeader(info, "")
		if err != nil {
			return err
		}
		header.Name = strings.TrimPrefix(path, "/")
		if err := writer.WriteHeader(header); err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err == nil {
			_, err = writer.Write(content)
		}
		return err
	})
	return errors.Join(err, writer.Close())
}

func unpack(dir string) error {
	reader := tar.NewReader(os.Stdin)
	for {
		header, err := reader.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		path := filepath.Join(dir, header.Name)
		if header.Typeflag == tar.TypeDir {
			if err := os.MkdirAll(path, 0o755); err != nil {
				return err
			}
			continue
		}
		content, err := io.ReadAll(reader)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(path), 0o755)
		}
		if err == nil {
			err = os.WriteFile(path, content, 0o644)
		}
		if err != nil {
			return err
		}
	}
}
