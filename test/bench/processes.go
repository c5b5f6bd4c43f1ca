package bench

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// usage is what the processes of an instance take.
type usage struct {
	processes int
	// anonymousKiB is memory that only they hold and that no file backs;
	// proportionalKiB is their whole proportional set size.
	anonymousKiB, proportionalKiB int
	cpu                           time.Duration
	writtenBytes                  int
}

// usageOf adds up all processes in a network namespace: cox, containerd and
// its shims. Containers have namespaces of their own and are not counted.
func usageOf(namespace string) (usage, error) {
	var want syscall.Stat_t
	if err := syscall.Stat(namespace, &want); err != nil {
		return usage{}, err
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return usage{}, err
	}
	var total usage
	for _, entry := range entries {
		if _, err := strconv.Atoi(entry.Name()); err != nil {
			continue
		}
		proc := filepath.Join("/proc", entry.Name())
		var stat syscall.Stat_t
		if err := syscall.Stat(filepath.Join(proc, "ns/net"), &stat); err != nil || stat.Ino != want.Ino {
			continue
		}
		one, err := usageOfProcess(proc)
		if err != nil {
			return usage{}, fmt.Errorf("%s: %w", proc, err)
		}
		total.processes++
		total.anonymousKiB += one.anonymousKiB
		total.proportionalKiB += one.proportionalKiB
		total.cpu += one.cpu
		total.writtenBytes += one.writtenBytes
	}
	return total, nil
}

func usageOfProcess(proc string) (usage, error) {
	memory, err := numbers(filepath.Join(proc, "smaps_rollup"))
	if err != nil {
		return usage{}, err
	}
	disk, err := numbers(filepath.Join(proc, "io"))
	if err != nil {
		return usage{}, err
	}
	stat, err := os.ReadFile(filepath.Join(proc, "stat"))
	if err != nil {
		return usage{}, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	const user, system = 11, 12 // after the process name, proc(5)
	ticks := 0
	for _, n := range []int{user, system} {
		count, err := strconv.Atoi(fields[n])
		if err != nil {
			return usage{}, err
		}
		ticks += count
	}
	const ticksPerSecond = 100 // USER_HZ on every Linux we run on
	return usage{
		anonymousKiB:    memory["Anonymous"],
		proportionalKiB: memory["Pss"],
		cpu:             time.Duration(ticks) * time.Second / ticksPerSecond,
		writtenBytes:    disk["write_bytes"],
	}, nil
}

// numbers reads the "Name: 123 kB" lines of a file below /proc.
func numbers(path string) (map[string]int, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	found := map[string]int{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		if fields := strings.Fields(value); len(fields) > 0 {
			if n, err := strconv.Atoi(fields[0]); err == nil {
				found[name] = n
			}
		}
	}
	return found, lines.Err()
}
