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
	flag.Parse()
	packages := flag.Args()
	if len(packages) == 0 {
		packages = cores
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	unexplained, err := run(ctx, packages, *verbose, *only)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
	if unexplained > 0 {
		os.Exit(1)
	}
}

// run tries all mutants of the packages and prints the share that is caught.
func run(ctx context.Context, packages []string, verbose bool, only string) (unexplained int, err error) {
	reasons, err := readReasons("tools/mutants/explained.txt")
	if err != nil {
		return 0, err
	}
	tried, caught, equal := 0, 0, 0
	for _, path := range packages {
		binary, err := build(ctx, path)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
		defer binary.remove()
		chosen := binary.chosen(only)
		results, err := binary.try(ctx, chosen)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
		for n, m := range chosen {
			reason := reasons[binary.name+"/"+m.key()]
			switch {
			case results[n]:
				caught++
			case reason != "":
				equal++
			default:
				unexplained++
			}
			if verbose || !results[n] && reason == "" {
				fmt.Printf("%s  %s/%s:%d %s: %s -> %s\n", verdict(results[n], reason), path, m.File, m.Line, m.Func, m.Before, m.After)
			}
		}
		tried += len(chosen)
	}
	fmt.Printf("%d mutants: %d caught, %d live and are explained in tools/mutants/explained.txt, %d live\n", tried, caught, equal, unexplained)
	if tried > equal {
		fmt.Printf("caught of those that make a difference: %.1f %%\n", 100*float64(caught)/float64(tried-equal))
	}
	return unexplained, nil
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
