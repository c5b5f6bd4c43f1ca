package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"coxswain.dev/cox/test/golden"
)

// run is what a command prints, as `cox ARGS` would be.
func run(args ...string) (string, error) {
	var out bytes.Buffer
	command := root()
	command.SetArgs(args)
	command.SetOut(&out)
	command.SetErr(&out)
	command.SetIn(strings.NewReader(""))
	err := command.Execute()
	return out.String(), err
}

// Every command's help is a golden file: testdata/help/cox-up.txt.
func TestHelp(t *testing.T) {
	seen := map[string]bool{}
	var visit func(*cobra.Command)
	visit = func(command *cobra.Command) {
		path := strings.Fields(command.CommandPath())
		file := filepath.Join("testdata", "help", strings.Join(path, "-")+".txt")
		seen[file] = true
		t.Run(command.CommandPath(), func(t *testing.T) {
			got, err := run(append(path[1:], "--help")...)
			if err != nil {
				t.Fatal(err)
			}
			golden.Check(t, file, got)
		})
		for _, below := range command.Commands() {
			if below.IsAvailableCommand() {
				visit(below)
			}
		}
	}
	visit(root())
	files, _ := filepath.Glob("testdata/help/*.txt")
	for _, file := range files {
		if !seen[file] {
			t.Errorf("%s is the help of no command: delete it", file)
		}
	}
}

func TestBadCommandLinesAreToldInASentence(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	shared := []string{"--data-dir=" + data, "--run-dir=" + data, "--kubeconfig=" + data + "/kc"}
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"a command that is none":     {[]string{"start"}, `unknown command "start" for "cox"`},
		"a command misspelt":         {[]string{"statsu"}, "status"},
		"a flag that is none":        {[]string{"up", "--data-dri=x"}, "unknown flag: --data-dri"},
		"a flag without its value":   {[]string{"up", "--listen"}, "flag needs an argument: --listen"},
		"an argument too many":       {[]string{"down", "now"}, `unknown command "now" for "cox down"`},
		"no archive":                 {[]string{"images", "import"}, "give one archive, or - for standard input"},
		"an archive that is not":     {append([]string{"images", "import", "/no/such.tar"}, shared...), "open /no/such.tar: no such file or directory"},
		"images of what is stopped":  {append([]string{"images", "list"}, shared...), "`cox up` starts it"},
		"the status of what is not":  {append([]string{"status"}, shared...), "cox is not running on " + data},
		"a reset that nobody wanted": {append([]string{"reset"}, shared...), "nothing was deleted"},
		"a bad shared flag":          {append([]string{"status"}, "--listen=here"), `--listen "here" is not host:port`},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := run(test.args...)
			if err == nil {
				t.Fatalf("cox %q succeeded: %s", test.args, out)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("cox %q says %q, want %q in it", test.args, err, test.want)
			}
			if strings.Contains(err.Error(), "Usage:") || strings.Contains(out, "Usage:") {
				t.Errorf("cox %q prints its usage for one mistake:\n%s", test.args, out)
			}
		})
	}
}

func TestStoppingWhatDoesNotRunIsNoError(t *testing.T) {
	out, err := run("down", "--data-dir="+t.TempDir())
	if err != nil || !strings.Contains(out, "cox is not running on") {
		t.Errorf("%q, %v", out, err)
	}
}

func TestVersionNamesWhatIsShipped(t *testing.T) {
	out, err := run("version")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"cox", "kubernetes", "etcd", "containerd", "runc"} {
		if !strings.Contains(out, "\n"+part+" ") && !strings.HasPrefix(out, part+" ") {
			t.Errorf("no %s in:\n%s", part, out)
		}
	}
}

func TestTheBackgroundProcessIsNotDetachedAgain(t *testing.T) {
	for given, want := range map[string]string{
		"up -d":                        "up --detach=false",
		"up --detach --listen=:1":      "up --listen=:1 --detach=false",
		"up --data-dir=/d -d":          "up --data-dir=/d --detach=false",
		"up --detach=true --run-dir x": "up --run-dir x --detach=false",
	} {
		if got := strings.Join(withoutDetach(strings.Fields(given)), " "); got != want {
			t.Errorf("withoutDetach(%s) = %s, want %s", given, got, want)
		}
	}
}
