package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"coxswain.dev/cox/internal/sim"
)

// simulateFlags are what `cox simulate` is told.
type simulateFlags struct {
	files, updates, images, faults []string
	at                             []time.Duration
	seed                           uint64
	output                         string
	readyAfter, stopAfter          time.Duration
}

// drawnFaults is how many faults --fault random draws, mostDrawn how many it
// may be told to; drawnSeeds is below what a seed is drawn.
const (
	drawnFaults = 5
	mostDrawn   = 1000
	drawnSeeds  = 1_000_000
)

// SimulateCommand is `cox simulate`.
func SimulateCommand() *cobra.Command {
	var flags simulateFlags
	command := &cobra.Command{
		Use:   "simulate -f FILE [deploy/NAME] [--update FILE]... [--fault NAME,...] [--seed N]",
		Short: "Play a Deployment and its updates in the simulator, with faults",
		Long: `Play a Deployment and its updates in the simulator, with faults, and tell what
happens when: what users, faults and controllers do, with the cause, which Pods come
and go, and how many are old, new, available and in all. The end is a verdict: did it
converge, how long did it take, were the bounds kept, and who broke them.

The controllers are those of cox itself, on a virtual clock; Pods are assumed to
behave as --ready-after and --stop-after say. Nothing is asked and nothing is changed:
no cox has to run. Manifests are completed and checked as the API would. Everything
that is left to chance comes from --seed: the same seed tells the same story.

Time begins with the first update, when the Deployment of -f has long been up. Further ones
follow when all is calm, or at the times of --at. Without any, it is the creation that
is played. Faults strike at drawn times, or where NAME@TIME says so:

` + faultTable("  ") + `  random[=N]          N of them, ` + strconv.Itoa(drawnFaults) + ` if it is not said, are drawn; never-ready is not.
  list                prints this list.

The exit code is 0 if it converges, 2 if it does not, 3 if the controllers broke a
rule, which is a mistake in Coxswain, and 1 if nothing could be simulated.`,
		Example: `  cox simulate -f app.yaml --update new.yaml
  cox simulate -f app.yaml --image web=web:v2 --fault pod-evicted,crash --seed 7
  cox simulate -f app.yaml --update bad.yaml --update app.yaml --fault never-ready --at 0s,2m
  cox simulate -f app.yaml --update new.yaml --fault random=20 -o json`,
		Args: cobra.ArbitraryArgs,
	}
	set := command.Flags()
	set.StringArrayVarP(&flags.files, "filename", "f", nil, "`file` or directory with the Deployment, or - for standard input (repeatable)")
	set.StringArrayVar(&flags.updates, "update", nil, "`file` with the Deployment as it is to be then, or - (repeatable: one after the other)")
	set.StringArrayVar(&flags.images, "image", nil, "`CONTAINER=IMAGE` to set in a last update, * for every container (repeatable)")
	set.DurationSliceVar(&flags.at, "at", nil, "`times` of the updates, such as 0s,30s; those left out wait until all is calm")
	set.Lookup("at").DefValue = "" // rather than []
	set.StringSliceVar(&flags.faults, "fault", nil, "`names` of what goes wrong, each NAME or NAME@TIME (repeatable)")
	set.Uint64Var(&flags.seed, "seed", 0, "`number` from which all chance comes; drawn if it is not given")
	set.StringVarP(&flags.output, "output", "o", "", "`form` of the output: json, or empty for text")
	set.DurationVar(&flags.readyAfter, "ready-after", 5*time.Second, "`time` from a Pod's placement until it is ready; minReadySeconds comes after it")
	set.DurationVar(&flags.stopAfter, "stop-after", time.Second, "`time` from a Pod's deletion until it is gone, at most its grace period")
	command.RunE = func(command *cobra.Command, args []string) error {
		if len(flags.faults) == 1 && flags.faults[0] == "list" {
			_, err := io.WriteString(command.OutOrStdout(), faultTable(""))
			return err
		}
		if !set.Changed("seed") {
			flags.seed = rand.Uint64N(drawnSeeds)
		}
		scenario, err := flags.scenario(args, command.InOrStdin())
		if err != nil {
			return err
		}
		return simulate(command.OutOrStdout(), scenario, flags.output)
	}
	return command
}

// faultTable lists the faults that can be named.
func faultTable(indent string) string {
	var out strings.Builder
	table := tabwriter.NewWriter(&out, 0, 8, 2, ' ', 0)
	for _, k := range sim.FaultKinds {
		fmt.Fprintf(table, "%s%s\t%s\n", indent, k.Name, k.What)
	}
	table.Flush()
	return out.String()
}

// simulate plays a scenario and prints its story.
func simulate(out io.Writer, scenario sim.Scenario, form string) error {
	story, err := sim.Play(scenario)
	if err != nil {
		return err
	}
	if form == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(story)
	} else {
		_, err = io.WriteString(out, story.String())
	}
	switch {
	case err != nil:
		return err
	case story.Verdict.Violation != "":
		return errExit(exitBroken)
	case !story.Verdict.Converged:
		return errExit(exitStopped)
	}
	return nil
}

// scenario is what the flags and the files say.
func (f simulateFlags) scenario(args []string, stdin io.Reader) (sim.Scenario, error) {
	if err := f.check(); err != nil {
		return sim.Scenario{}, err
	}
	name := ""
	if len(args) > 0 {
		named, rest, err := parseDeployment(args)
		if err != nil {
			return sim.Scenario{}, err
		}
		if len(rest) > 0 {
			return sim.Scenario{}, fmt.Errorf("%q is too much: name one Deployment, and its updates with --update", rest[0])
		}
		name = named
	}
	s := sim.Scenario{Seed: f.seed, ReadyAfter: f.readyAfter, StopAfter: f.stopAfter}
	for _, text := range f.faults {
		if err := addFault(&s, text); err != nil {
			return s, err
		}
	}
	if err := f.readDeployments(&s, name, stdin); err != nil {
		return s, err
	}
	if len(f.at) > len(s.Updates) {
		return s, fmt.Errorf("--at %s: there is no update for it: name one with --update or --image", f.at[len(s.Updates)])
	}
	for i := range f.at {
		s.Updates[i].At = &f.at[i]
	}
	return s, nil
}

func (f simulateFlags) check() error {
	if err := cmp.Or(checkOutput(f.output), checkStdin(slices.Concat(f.files, f.updates))); err != nil {
		return err
	}
	if f.readyAfter < 0 || f.stopAfter < 0 {
		return errors.New("--ready-after and --stop-after are times from 0 on, such as 20s")
	}
	for i, at := range f.at {
		if at < 0 || i > 0 && at < f.at[i-1] {
			return fmt.Errorf("--at %s: times are from 0s on, and none is before the one it follows", at)
		}
	}
	if len(f.files) == 0 {
		return errors.New("say which Deployment: -f FILE")
	}
	return nil
}

// addFault reads NAME, NAME@TIME, random, random=N or none.
func addFault(s *sim.Scenario, text string) error {
	kind, number, counted := strings.Cut(text, "=")
	switch {
	case text == "none":
	case kind == "random" && !counted:
		s.Random += drawnFaults
	case kind == "random":
		n, err := strconv.Atoi(number)
		if err != nil || n < 0 || s.Random+n > mostDrawn {
			return fmt.Errorf("--fault %s: write random=N with N up to %d", text, mostDrawn)
		}
		s.Random += n
	default:
		name, time, timed := strings.Cut(text, "@")
		fault := sim.ScenarioFault{Name: name}
		if timed {
			at, err := parseTime(time)
			if err != nil {
				return fmt.Errorf("--fault %s: %w", text, err)
			}
			fault.At = &at
		}
		if err := checkFault(name); err != nil {
			return err
		}
		s.Faults = append(s.Faults, fault)
	}
	return nil
}

// checkFault refuses a fault that there is not, and names a near one.
func checkFault(name string) error {
	var names []string
	for _, k := range sim.FaultKinds {
		names = append(names, k.Name)
	}
	if slices.Contains(names, name) {
		return nil
	}
	hint := ""
	if near, found := nearest(name, names); found {
		hint = fmt.Sprintf(" (did you mean %q?)", near)
	}
	return fmt.Errorf("there is no fault %q%s: cox simulate --fault list lists them", name, hint)
}

func parseTime(text string) (time.Duration, error) {
	at, err := time.ParseDuration(text)
	if err != nil || at < 0 {
		return 0, fmt.Errorf("%q is no time from 0s on, such as 12s", text)
	}
	return at, nil
}
