package cli

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"coxswain.dev/cox/internal/fielddiff"
)

func diffCommand() *cobra.Command {
	var output string
	command := &cobra.Command{
		Use:   "diff deploy/NAME [REVISION] [REVISION]",
		Short: "Show field by field what changed between revisions",
		Long: `Show field by field what changed between two revisions of a Deployment's
template. Without a revision it compares the previous one with the current one,
with one it compares that with the current one. Items of lists go by their
names, as in containers[web].env[MODE].

The exit code is 0 whether there is a difference or not, 1 for an error.`,
		Example: `  cox rollout diff deploy/http-go
  cox rollout diff deploy/http-go 1
  cox rollout diff deploy/http-go 1 3 -o json`,
		Args: cobra.ArbitraryArgs,
	}
	connection := addConnection(command.Flags())
	command.Flags().StringVarP(&output, "output", "o", "", "`form` of the output: json, or empty for text")
	command.RunE = func(command *cobra.Command, args []string) error {
		if err := checkOutput(output); err != nil {
			return err
		}
		name, rest, err := parseDeployment(args)
		if err != nil {
			return err
		}
		numbers, err := parseRevisions(rest)
		if err != nil {
			return err
		}
		session, err := connection.open(command.ErrOrStderr())
		if err != nil {
			return err
		}
		history, err := session.revisions(command.Context(), name)
		if err != nil {
			return session.explain(err)
		}
		diff, err := history.diff(numbers)
		if err != nil {
			return err
		}
		return diff.write(command.OutOrStdout(), output)
	}
	return command
}

// parseRevisions reads at most two numbers.
func parseRevisions(texts []string) ([]int64, error) {
	if len(texts) > 2 {
		return nil, fmt.Errorf("give at most two revisions (got %d)", len(texts))
	}
	var numbers []int64
	for _, text := range texts {
		number, err := parseRevision(text)
		if err != nil {
			return nil, err
		}
		numbers = append(numbers, number)
	}
	return numbers, nil
}

// checkOutput refuses what -o does not know.
func checkOutput(output string) error {
	if output != "" && output != "json" {
		return fmt.Errorf("-o %q is not known: use -o json, or leave it out for text", output)
	}
	return nil
}

// revisionDiff is what `cox rollout diff` shows.
type revisionDiff struct {
	Namespace string             `json:"namespace"`
	Name      string             `json:"name"`
	From      revisionName       `json:"from"`
	To        revisionName       `json:"to"`
	Changes   []fielddiff.Change `json:"changes"`
}

// revisionName is one side of it.
type revisionName struct {
	// Revision is 0 for a template that was not rolled out yet.
	Revision    int64  `json:"revision"`
	Current     bool   `json:"current"`
	ChangeCause string `json:"changeCause,omitempty"`
}

// diff compares two revisions, one with the current one, or the previous with
// the current one.
func (r *revisions) diff(numbers []int64) (*revisionDiff, error) {
	from, to := revision{}, r.current
	var err error
	switch len(numbers) {
	case 0:
		from, err = r.previous()
	case 1:
		from, err = r.find(numbers[0])
	default:
		if from, err = r.find(numbers[0]); err == nil {
			to, err = r.find(numbers[1])
		}
	}
	if err != nil {
		return nil, err
	}
	changes := fielddiff.Of(from.template, to.template)
	if changes == nil {
		changes = []fielddiff.Change{}
	}
	return &revisionDiff{r.deployment.Namespace, r.deployment.Name, r.nameOf(from), r.nameOf(to), changes}, nil
}

func (r *revisions) nameOf(rev revision) revisionName {
	return revisionName{rev.number, rev.number == r.current.number, rev.cause}
}

func (d *revisionDiff) write(out io.Writer, form string) error {
	if form == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(d)
	}
	fmt.Fprintf(out, "deployment.apps/%s: %s to %s\n", d.Name, d.From, d.To)
	for _, change := range d.Changes {
		fmt.Fprintf(out, "  %s\n", fielddiff.Short(change))
	}
	if len(d.Changes) == 0 {
		fmt.Fprintln(out, "  no difference")
	}
	return nil
}

// String is "revision 3 (current; kubectl set image …)".
func (n revisionName) String() string {
	text := fmt.Sprintf("revision %d", n.Revision)
	switch {
	case n.Revision == 0:
		text = "what was not rolled out yet"
	case n.Current && n.ChangeCause != "":
		return fmt.Sprintf("%s (current; %s)", text, n.ChangeCause)
	case n.Current:
		return text + " (current)"
	}
	if n.ChangeCause != "" {
		text += fmt.Sprintf(" (%s)", n.ChangeCause)
	}
	return text
}
