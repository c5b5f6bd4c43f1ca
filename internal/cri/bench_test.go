package cri

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	runtimev1 "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// BenchmarkStart is from nothing to an engine that answers and has its pause
// image, and says what that engine weighs.
func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		engine := start(b, testConfig(b))
		b.StopTimer()
		settled := memory(b, engine.PID())
		b.ReportMetric(float64(settled["Pss"]), "kB-pss")
		b.ReportMetric(float64(settled["Anonymous"]), "kB-anon")
		b.StartTimer()
	}
}

// BenchmarkTakeUp is a restart of cox beside a running engine.
func BenchmarkTakeUp(b *testing.B) {
	config := testConfig(b)
	if err := start(b, config).Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		engine, err := Start(b.Context(), config)
		if err != nil {
			b.Fatal(err)
		}
		if err := engine.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPod is one Pod with one container, started and removed: the floor
// under every Pod's start, without a network. It says what a Pod weighs.
func BenchmarkPod(b *testing.B) {
	engine := start(b, testConfig(b))
	var sandbox, create, begin time.Duration
	var shims int
	for b.Loop() {
		pod := runPod(b, engine, fmt.Sprintf("pod-%d", b.N))
		b.StopTimer()
		sandbox, create, begin = sandbox+pod.sandboxTook, create+pod.createTook, begin+pod.startTook
		shims = shimMemory(b, engine)
		b.StartTimer()
		if err := stopPod(testContext(b), pod.client, pod.sandbox, []string{pod.container}, 0); err != nil {
			b.Fatal(err)
		}
	}
	count := float64(b.N) * float64(time.Millisecond)
	b.ReportMetric(float64(sandbox)/count, "ms-sandbox")
	b.ReportMetric(float64(create)/count, "ms-create")
	b.ReportMetric(float64(begin)/count, "ms-start")
	b.ReportMetric(float64(shims), "kB-pss-shim")
	b.ReportMetric(float64(memory(b, engine.PID())["Pss"]), "kB-pss-containerd")
}

// BenchmarkCall is the smallest CRI call.
func BenchmarkCall(b *testing.B) {
	engine := start(b, testConfig(b))
	client := runtimev1.NewRuntimeServiceClient(engine.images.conn)
	for b.Loop() {
		if _, err := client.Version(b.Context(), &runtimev1.VersionRequest{}); err != nil {
			b.Fatal(err)
		}
	}
}

// shimMemory is the proportional set size of all shims of an engine, in kB.
func shimMemory(b *testing.B, engine *Engine) int {
	commands, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	total := 0
	for _, command := range commands {
		content, err := os.ReadFile(command)
		if err != nil || !strings.Contains(string(content), "containerd-shim-runc-v2") || !strings.Contains(string(content), engine.config.socket()) {
			continue
		}
		pid, _ := strconv.Atoi(strings.Split(command, "/")[2])
		total += memory(b, pid)["Pss"]
	}
	return total
}

// memory reads a process's smaps_rollup, in kB.
func memory(b *testing.B, pid int) map[string]int {
	b.Helper()
	file, err := os.Open(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	sizes := map[string]int{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		name, rest, _ := strings.Cut(lines.Text(), ":")
		if fields := strings.Fields(rest); len(fields) == 2 {
			sizes[name], _ = strconv.Atoi(fields[0])
		}
	}
	return sizes
}
