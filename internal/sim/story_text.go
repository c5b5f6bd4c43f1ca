package sim

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// together is how near to each other the same things happen to Pods of one
// ReplicaSet that are told in one line.
const together = 1.0

// String is a stable text of the story, for people and for golden files.
func (s Story) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "Deployment %s/%s  %s\n", s.Namespace, s.Name, s.Strategy)
	faults := "none"
	if len(s.Faults) > 0 {
		faults = strings.Join(s.Faults, ", ")
	}
	fmt.Fprintf(&out, "Faults  %s (--fault); seed %d (--seed): the same again gives the same\n", faults, s.Seed)
	fmt.Fprintf(&out, "Model   a Pod is ready %s after it is placed (--ready-after) and gone %s after it is told to stop (--stop-after), up to a fifth more or less\n\n",
		secondsText(s.Pods.ReadyAfterSeconds), secondsText(s.Pods.StopAfterSeconds))
	table := tabwriter.NewWriter(&out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "AT\tOLD\tNEW\tAVAILABLE\tTOTAL\tSTOPPING\tWHO\tWHAT")
	for i := 0; i < len(s.Events); {
		count := alike(s.Events[i:])
		last := s.Events[i+count-1]
		fmt.Fprintf(table, "%.3fs\t%d\t%d\t%d\t%d\t%d\t%s\t%s\n", s.Events[i].AtSeconds, last.Old, last.New, last.Available, last.Total, last.Stopping, last.Who, s.Events[i].text(count))
		i += count
	}
	table.Flush()
	out.WriteString("\n" + s.Verdict.String())
	return out.String()
}

// alike is how many events from the first on are told in one line.
func alike(events []Event) int {
	first, count := events[0], 1
	for first.Object != "" && count < len(events) {
		e := events[count]
		if e.Object == "" || e.Who != first.Who || e.What != first.What || e.Of != first.Of || e.AtSeconds > first.AtSeconds+together {
			break
		}
		count++
	}
	return count
}

// text is what happened, to so many Pods.
func (e Event) text(count int) string {
	text := e.What
	switch {
	case e.Object == "":
	case strings.HasPrefix(e.Who, "ReplicaSet"):
		text += " " + podsText(e, count)
	default:
		verb := e.What
		if count > 1 {
			verb = strings.NewReplacer("becomes", "become", "is gone", "are gone").Replace(verb)
		}
		text = podsText(e, count) + " " + verb
	}
	if e.Cause != "" {
		text += ": " + e.Cause
	}
	return text
}

func podsText(e Event, count int) string {
	if count == 1 {
		return "Pod " + e.Object
	}
	return fmt.Sprintf("%d Pods of %s", count, e.Of)
}

// String is the verdict in lines.
func (v Verdict) String() string {
	var out strings.Builder
	if v.Converged {
		fmt.Fprintf(&out, "Converged   after %s", secondsText(v.AfterSeconds))
	} else {
		fmt.Fprintf(&out, "Not converged   %s", v.Why)
	}
	if v.WithoutFaultsSeconds != nil {
		fmt.Fprintf(&out, " (%s without faults)", secondsText(*v.WithoutFaultsSeconds))
	}
	fmt.Fprintf(&out, "\nAvailable   %d at the least (%.3fs), bound %d\n", v.LeastAvailable.Seen, v.LeastAvailable.AtSeconds, v.LeastAvailable.Bound)
	fmt.Fprintf(&out, "Total       %d at the most (%.3fs), bound %d\n", v.MostPods.Seen, v.MostPods.AtSeconds, v.MostPods.Bound)
	switch outside := v.LeastAvailable.Seen < v.LeastAvailable.Bound || v.MostPods.Seen > v.MostPods.Bound; {
	case len(v.Breaches) > 0:
	case outside: // a creation begins below its bound, an update may move one
		out.WriteString("Bounds      kept at every step, once they were reached\n")
	default:
		out.WriteString("Bounds      kept at every step\n")
	}
	for _, b := range v.Breaches {
		until := "to the end"
		if b.UntilSeconds != nil {
			until = fmt.Sprintf("for %s", secondsText(*b.UntilSeconds-b.FromSeconds))
		}
		fmt.Fprintf(&out, "Broken      %d %s, and %d is the %s, from %.3fs on %s: by %s\n", b.Worst, b.Bound, b.Limit, extremeOf(b.Bound), b.FromSeconds, until, b.By)
	}
	if v.Violation != "" {
		fmt.Fprintf(&out, "Controllers BROKE A RULE: %s. This is a mistake in Coxswain: please report it with the manifests, the faults and the seed.\n", v.Violation)
	} else {
		fmt.Fprintf(&out, "Controllers broke no rule, checked after each of %d steps\n", v.Steps)
	}
	return out.String()
}

func secondsText(seconds float64) string {
	return durationText(time.Duration(seconds * float64(time.Second)))
}

// durationText is a time in tenths of seconds, a short one in milliseconds.
func durationText(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}
