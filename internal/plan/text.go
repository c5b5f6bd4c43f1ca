package plan

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"coxswain.dev/cox/internal/fielddiff"
)

// A table shows the first and the last waves of a long rollout.
const (
	firstWaves = 20
	lastWaves  = 5
)

// String is a stable text of the plan, for people and for golden files.
func (p Plan) String() string {
	var out strings.Builder
	p.writeHead(&out)
	if p.Outcome.State != Refused {
		p.writeChanges(&out)
		p.writeBounds(&out)
		p.writeWaves(&out)
	}
	p.writeProblems(&out)
	fmt.Fprintf(&out, "\n%s\n", p.result())
	return out.String()
}

func (p Plan) writeHead(out *strings.Builder) {
	fmt.Fprintf(out, "Deployment %s/%s: %s", p.Namespace, p.Name, p.Action)
	switch {
	case p.ToRevision == 0:
	case p.FromRevision == 0:
		fmt.Fprintf(out, ", revision %d", p.ToRevision)
	case p.FromRevision == p.ToRevision:
		fmt.Fprintf(out, ", revision %d stays", p.ToRevision)
	default:
		fmt.Fprintf(out, ", revision %d to %d", p.FromRevision, p.ToRevision)
	}
	out.WriteString("\n")
	if p.Paused {
		fmt.Fprintf(out, "It is paused: what follows begins with kubectl rollout resume deployment/%s -n %s.\n", p.Name, p.Namespace)
	}
	if p.UnderWay {
		out.WriteString("A rollout has not ended yet: what follows begins in its middle.\n")
	}
}

func (p Plan) writeChanges(out *strings.Builder) {
	writeChanges := func(title string, changes []fielddiff.Change) {
		if len(changes) == 0 {
			return
		}
		fmt.Fprintf(out, "\n%s\n", title)
		for _, change := range changes {
			fmt.Fprintf(out, "  %s\n", fielddiff.Short(change))
		}
	}
	writeChanges("Template", p.Template)
	writeChanges("Settings", p.Settings)
	writeChanges("Metadata", p.Metadata)
	if p.Action == Update && len(p.Template) == 0 && !p.UnderWay {
		out.WriteString("  The template stays: no Pod is replaced.\n")
	}
}

func (p Plan) writeBounds(out *strings.Builder) {
	s := p.Strategy
	fmt.Fprintf(out, "\nBounds  %s, %s", s.Type, plural(int(s.Replicas), "replica", "replicas"))
	if s.MaxSurge != "" || s.MaxUnavailable != "" {
		fmt.Fprintf(out, ", maxSurge %s, maxUnavailable %s: at most %s, at least %d available", s.MaxSurge, s.MaxUnavailable, plural(int(s.MostPods), "Pod", "Pods"), s.LeastAvailable)
	} else {
		out.WriteString(": all old Pods go before the first new one comes")
	}
	fmt.Fprintf(out, "\nModel   a Pod is ready %s after it is placed (--ready-after)", secondsText(p.Pods.ReadyAfterSeconds))
	if p.Pods.MinReadySeconds > 0 {
		fmt.Fprintf(out, ", available %s later (minReadySeconds)", secondsText(float64(p.Pods.MinReadySeconds)))
	}
	fmt.Fprintf(out, ", gone %s after it is told to stop (--stop-after)\n", secondsText(p.Pods.StopAfterSeconds))
}

func (p Plan) writeWaves(out *strings.Builder) {
	if len(p.Waves) == 0 {
		return
	}
	out.WriteString("\n")
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "WAVE\tAT\tOLD\tNEW\tAVAILABLE\tTOTAL\tSTOPPING\tWHAT\tCAUSE")
	for i, wave := range p.Waves {
		if hidden := len(p.Waves) - firstWaves - lastWaves; hidden > 1 && i >= firstWaves && i < len(p.Waves)-lastWaves {
			if i == firstWaves {
				fmt.Fprintf(table, "...\t\t\t\t\t\t\t%d more waves (-o json has all)\t\n", hidden)
			}
			continue
		}
		for n, step := range wave.Steps {
			if n > 0 {
				fmt.Fprintf(table, "\t\t\t\t\t\t\t%s\t%s\n", step.what(), step.Cause)
				continue
			}
			fmt.Fprintf(table, "%d\t%s\t%d\t%d\t%d\t%d\t%d\t%s\t%s\n", i+1, secondsText(wave.AtSeconds),
				wave.Old, wave.New, wave.Available, wave.Total, wave.Stopping, step.what(), step.Cause)
		}
	}
	table.Flush()
}

func (s Step) what() string {
	kind := "old"
	if s.New {
		kind = "new"
	}
	switch s.Verb {
	case "create":
		return fmt.Sprintf("create %s %s: %d", kind, s.ReplicaSet, s.To)
	case "scale":
		return fmt.Sprintf("%s %s: %d to %d", kind, s.ReplicaSet, s.From, s.To)
	default:
		return fmt.Sprintf("%s %s %s", s.Verb, kind, s.ReplicaSet)
	}
}

func (p Plan) writeProblems(out *strings.Builder) {
	title := ""
	for _, problem := range p.Problems {
		wanted := "To be known"
		if problem.Stops {
			wanted = "What stops it"
		}
		if title != wanted {
			title = wanted
			fmt.Fprintf(out, "\n%s\n", title)
		}
		fmt.Fprintf(out, "  %s: %s\n", problem.Cause, problem.Message)
		if problem.Advice != "" {
			fmt.Fprintf(out, "    %s\n", problem.Advice)
		}
	}
}

// result is the last line.
func (p Plan) result() string {
	o := p.Outcome
	extremes := "never more than " + plural(int(o.MostPods), "Pod", "Pods")
	if p.Action != Create || o.LeastAvailable > 0 { // what is new begins with none
		extremes += fmt.Sprintf(", never fewer than %d available", o.LeastAvailable)
	}
	switch {
	case o.State == Refused:
		return "Refused: nothing would change."
	case p.Action == None && len(p.Waves) == 0 && o.State == Complete:
		return "Nothing to do: the Deployment is so already."
	case o.State == Complete:
		return fmt.Sprintf("Complete after %s; %s.", secondsText(o.AfterSeconds), extremes)
	case o.State == Late:
		return fmt.Sprintf("Complete after %s, but counted as failed from %s on; %s.", secondsText(o.AfterSeconds), secondsText(o.DeadlineAfterSeconds), extremes)
	}
	text := fmt.Sprintf("Stuck from %s on, with %d old and %d new Pods, %d available", secondsText(o.AfterSeconds), o.Final.Old, o.Final.New, o.Final.Available)
	if o.DeadlineAfterSeconds > 0 {
		text += fmt.Sprintf("; counted as failed (ProgressDeadlineExceeded) after %s", secondsText(o.DeadlineAfterSeconds))
	}
	return text + "."
}

func secondsText(seconds float64) string {
	return durationText(time.Duration(seconds * float64(time.Second)))
}

// durationText leaves out what is 0: 1m30s, 10m, 0s.
func durationText(d time.Duration) string {
	text := d.Round(100 * time.Millisecond).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
