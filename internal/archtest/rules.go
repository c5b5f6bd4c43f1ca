package archtest

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// module is the prefix of our own packages.
const module = "coxswain.dev/cox/"

// Package is what the rules look at.
type Package struct {
	// Path is the import path without the module: "internal/rollout".
	Path string
	// Doc is the first sentence of the package comment.
	Doc     string
	Imports []string
	// Calls are the functions of other packages that its code names, such as
	// "time.Now".
	Calls []string
}

// layer is one row of the table. A package imports only from rows below its
// own, and from its own family: the folder that the row names.
type layer struct {
	what     string
	families []string
}

// layers is the table, from the top. DESIGN.md has the reasons.
var layers = []layer{
	{"programs and whole instances", []string{"cmd", "examples", "test", "tools"}},
	{"builds and owns everything", []string{"internal/app"}},
	{"the API server", []string{"internal/apiserver"}},
	{"adapters and drivers", []string{
		"internal/admission", "internal/agent", "internal/cli", "internal/controllers", "internal/cri",
		"internal/dns", "internal/etcd", "internal/ingress", "internal/network", "internal/peers", "internal/proxy", "internal/registry",
	}},
	{"the simulator", []string{"internal/sim"}},
	{"shared by drivers", []string{"internal/cni", "internal/diagnose", "internal/plan", "internal/reconcile"}},
	{"cores: pure", cores},
}

// cores decide; they have no I/O, no clock, no locks and no randomness.
var cores = []string{
	"internal/apis", "internal/autoscale", "internal/disruption", "internal/fielddiff", "internal/placement", "internal/podlifecycle", "internal/policy", "internal/quota", "internal/replicas",
	"internal/rollout", "internal/routing", "internal/usage",
}

// outside are packages without a row: they look at all others.
var outside = []string{"internal/archtest"}

// coreImports is the part of the standard library that is only computation.
var coreImports = []string{
	"bytes", "cmp", "encoding/base64", "encoding/binary", "encoding/hex", "encoding/json", "errors", "fmt", "hash/fnv", "iter",
	"maps", "math", "math/bits", "net/netip", "reflect", "regexp", "slices", "sort", "strconv", "strings", "time", "unicode", "unicode/utf8",
}

// coreModules are the libraries of types and arithmetic that cores may use.
var coreModules = []string{"k8s.io/api/", "k8s.io/apimachinery/", "k8s.io/component-helpers/", "k8s.io/utils/ptr"}

// clocks are calls by which time would come into a core unseen.
var clocks = []string{"time.Now", "time.Since", "time.Until", "time.Sleep", "time.After", "time.Tick", "time.NewTimer", "time.NewTicker"}

// reserved are libraries that only some families may import, with the reason.
var reserved = []struct {
	prefix string
	by     []string
	reason string
}{
	{"k8s.io/kubernetes", nil, "it is not a library: its behaviour is matched, not imported"},
	{"k8s.io/apiserver", []string{"internal/apiserver", "internal/registry", "internal/admission", "internal/quota", "internal/app", "tools"}, "controllers and node know only client-go, so that they run against any API server"},
	{"go.etcd.io/", []string{"internal/etcd", "internal/apiserver"}, "the store is behind the API"},
	{"k8s.io/cri-client", []string{"internal/agent", "internal/cri", "test"}, "CRI is the seam to the runtime, and the agent's"},
	{"github.com/google/nftables", []string{"internal/network", "internal/proxy"}, "rules are the proxy's"},
	{"k8s.io/kubectl", []string{"internal/cli", "internal/app", "cmd"}, "kubectl is only built in"},
}

// Check gives every breach of the rules as a sentence.
func Check(packages []Package) []string {
	var breaches []string
	for _, p := range packages {
		if slices.Contains(outside, p.Path) {
			continue
		}
		say := func(format string, args ...any) { breaches = append(breaches, p.Path+" "+fmt.Sprintf(format, args...)) }
		row := rowOf(p.Path)
		if row < 0 {
			say("has no row in the table of layers")
			continue
		}
		if p.Doc == "" {
			say("has no package comment")
		}
		if slices.Contains([]string{"util", "utils", "common", "helpers", "helper", "manager", "misc", "base"}, path.Base(p.Path)) {
			say("is named after nothing")
		}
		for _, imported := range p.Imports {
			checkLayer(p.Path, row, imported, say)
			checkReserved(p.Path, imported, say)
		}
		if isCore(p.Path) {
			checkCore(p, say)
		}
	}
	return breaches
}

func checkLayer(importer string, row int, imported string, say func(string, ...any)) {
	own, ours := strings.CutPrefix(imported, module)
	if !ours {
		return
	}
	if slices.Contains(outside, own) {
		say("imports %s, which nothing may", own)
		return
	}
	target := rowOf(own)
	if target < 0 || target > row || familyOf(own) == familyOf(importer) {
		return
	}
	say("(%s) imports %s (%s): only what is below", layers[row].what, own, layers[target].what)
}

func checkReserved(importer, imported string, say func(string, ...any)) {
	for _, r := range reserved {
		if (imported == strings.TrimSuffix(r.prefix, "/") || strings.HasPrefix(imported, strings.TrimSuffix(r.prefix, "/")+"/")) && !within(importer, r.by) {
			say("imports %s: %s", imported, r.reason)
		}
	}
}

func checkCore(p Package, say func(string, ...any)) {
	for _, imported := range p.Imports {
		standard := !strings.Contains(strings.Split(imported, "/")[0], ".")
		allowed := standard && slices.Contains(coreImports, imported) || strings.HasPrefix(imported, module) ||
			!standard && slices.ContainsFunc(coreModules, func(m string) bool { return strings.HasPrefix(imported, m) })
		if !allowed {
			say("is a core and imports %s: cores only compute", imported)
		}
	}
	for _, call := range p.Calls {
		if slices.Contains(clocks, call) {
			say("is a core and names %s: time comes with the snapshot", call)
		}
	}
}

func isCore(path string) bool { return within(path, cores) }

func within(path string, families []string) bool {
	return slices.ContainsFunc(families, func(f string) bool { return path == f || strings.HasPrefix(path, f+"/") })
}

// rowOf is the index of a package's row, -1 for none.
func rowOf(path string) int {
	return slices.IndexFunc(layers, func(l layer) bool { return within(path, l.families) })
}

func familyOf(path string) string {
	row := rowOf(path)
	if row < 0 {
		return path
	}
	for _, f := range layers[row].families {
		if within(path, []string{f}) {
			return f
		}
	}
	return path
}
