package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
)

// cores are looked at if no package is named.
var cores = []string{"./internal/rollout", "./internal/replicas"}

func main() {
	verbose := flag.Bool("v", false, "print every mutant, not only those that live")
	only := flag.String("only", "", "try only mutants with this `text` in their description")
	history := flag.Bool("historic", false, "try only the mistakes of Kubernetes' history, in "+historicDir)
	flag.Parse()
	packages := flag.Args()
	all := len(packages) == 0 && !*history && *only == ""
	if len(packages) == 0 && !*history {
		packages = cores
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	t := tally{}
	err := error(nil)
	if all || *history {
		err = t.tryHistoric(ctx, *only)
	}
	if err == nil && len(packages) > 0 {
		err = t.tryPackages(ctx, packages, *verbose, *only)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
	t.print()
	if t.unexplained > 0 {
		os.Exit(1)
	}
}

// tally counts what becomes of mutants.
type tally struct{ tried, caught, equal, unexplained int }

func (t *tally) print() {
	fmt.Printf("%d mutants: %d caught, %d live and are explained in tools/mutants/explained.txt, %d live\n", t.tried, t.caught, t.equal, t.unexplained)
	if t.tried > t.equal {
		fmt.Printf("caught of those that make a difference: %.1f %%\n", 100*float64(t.caught)/float64(t.tried-t.equal))
	}
}

func (t *tally) tryHistoric(ctx context.Context, only string) error {
	caught, lives, err := runHistoric(ctx, only)
	t.tried, t.caught, t.unexplained = t.tried+caught+lives, t.caught+caught, t.unexplained+lives
	return err
}

// tryPackages tries all mutants of the packages.
func (t *tally) tryPackages(ctx context.Context, packages []string, verbose bool, only string) error {
	reasons, err := readReasons("tools/mutants/explained.txt")
	if err != nil {
		return err
	}
	for _, path := range packages {
		binary, err := build(ctx, path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		defer binary.remove()
		chosen := binary.chosen(only)
		results, err := binary.try(ctx, chosen)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for n, m := range chosen {
			reason := reasons[binary.name+"/"+m.key()]
			switch {
			case results[n]:
				t.caught++
			case reason != "":
				t.equal++
			default:
				t.unexplained++
			}
			if verbose || !results[n] && reason == "" {
				fmt.Printf("%s  %s/%s:%d %s: %s -> %s\n", verdict(results[n], reason), path, m.File, m.Line, m.Func, m.Before, m.After)
			}
		}
		t.tried += len(chosen)
	}
	return nil
}

func verdict(caught bool, reason string) string {
	switch {
	case caught:
		return "caught   "
	case reason != "":
		return "explained"
	default:
		return "LIVES    "
	}
}

// readReasons reads why mutants cannot be caught: a line with the mutant's
// package and key, and below it the indented reason.
func readReasons(file string) (map[string]string, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("run it in the project's top folder: %w", err)
	}
	reasons := map[string]string{}
	key := ""
	for line := range strings.Lines(string(content)) {
		line = strings.TrimRight(line, "\n")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, " "):
			reasons[key] += strings.TrimSpace(line) + " "
		default:
			key = line
		}
	}
	return reasons, nil
}
