package archtest

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestTheRulesHold(t *testing.T) {
	packages := load(t)
	const fewest = 40 // or the list has not been read
	if len(packages) < fewest {
		t.Fatalf("%d packages were found, fewer than %d", len(packages), fewest)
	}
	for _, breach := range Check(packages) {
		t.Error(breach)
	}
}

func TestEveryBreachIsSeen(t *testing.T) {
	sound := Package{Path: "internal/rollout", Doc: "x", Imports: []string{"fmt", "k8s.io/api/apps/v1"}, Calls: []string{"time.Unix"}}
	if breaches := Check([]Package{sound}); len(breaches) > 0 {
		t.Errorf("nothing is wrong with it: %q", breaches)
	}
	for want, p := range map[string]Package{
		"has no row in the table of layers":        {Path: "internal/stray", Doc: "x"},
		"has no package comment":                   {Path: "internal/dns"},
		"is named after nothing":                   {Path: "internal/agent/util", Doc: "x"},
		"only what is below":                       {Path: "internal/dns", Doc: "x", Imports: []string{module + "internal/proxy"}},
		"(builds and owns everything)":             {Path: "internal/controllers", Doc: "x", Imports: []string{module + "internal/app"}},
		"which nothing may":                        {Path: "internal/app", Doc: "x", Imports: []string{module + "internal/archtest"}},
		"imports internal/replicas (cores: pure)":  {Path: "internal/rollout", Doc: "x", Imports: []string{module + "internal/replicas"}},
		"is a core and imports os":                 {Path: "internal/placement", Doc: "x", Imports: []string{"os"}},
		"is a core and imports math/rand":          {Path: "internal/apis/core", Doc: "x", Imports: []string{"math/rand"}},
		"is a core and imports k8s.io/client-go":   {Path: "internal/routing", Doc: "x", Imports: []string{"k8s.io/client-go/kubernetes"}},
		"is a core and names time.Now":             {Path: "internal/podlifecycle", Doc: "x", Calls: []string{"time.Now"}},
		"controllers and node know only client-go": {Path: "internal/agent", Doc: "x", Imports: []string{"k8s.io/apiserver/pkg/server"}},
		"it is not a library":                      {Path: "internal/app", Doc: "x", Imports: []string{"k8s.io/kubernetes/pkg/kubelet"}},
		"the store is behind the API":              {Path: "internal/controllers", Doc: "x", Imports: []string{"go.etcd.io/etcd/client/v3"}},
		"rules are the proxy's":                    {Path: "internal/agent/volumes", Doc: "x", Imports: []string{"github.com/google/nftables"}},
	} {
		if breaches := Check([]Package{p}); len(breaches) != 1 || !strings.Contains(breaches[0], want) {
			t.Errorf("%s with %q %q: got %q, want one with %q", p.Path, p.Imports, p.Calls, breaches, want)
		}
	}
}

// load reads our packages, without their tests.
func load(t *testing.T) []Package {
	t.Helper()
	command := exec.Command("go", "list", "-json=ImportPath,Doc,Imports,Dir,GoFiles", "./...")
	command.Dir = "../.."
	output, err := command.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []Package
	for decoder := json.NewDecoder(strings.NewReader(string(output))); ; {
		var listed struct {
			ImportPath, Doc, Dir string
			Imports, GoFiles     []string
		}
		if err := decoder.Decode(&listed); err == io.EOF {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		p := Package{Path: strings.TrimPrefix(listed.ImportPath, module), Doc: listed.Doc, Imports: listed.Imports}
		if isCore(p.Path) {
			for _, file := range listed.GoFiles {
				p.Calls = append(p.Calls, selectors(t, filepath.Join(listed.Dir, file))...)
			}
		}
		packages = append(packages, p)
	}
}

// selectors are all "package.Name" in a file.
func selectors(t *testing.T, file string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	ast.Inspect(parsed, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok {
				found = append(found, x.Name+"."+s.Sel.Name)
			}
		}
		return true
	})
	slices.Sort(found)
	return slices.Compact(found)
}
