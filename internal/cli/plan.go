package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"coxswain.dev/cox/internal/plan"
)

// planFlags are what `cox plan` is told.
type planFlags struct {
	files, images []string
	output        string
	model         plan.Model
}

// PlanCommand is `cox plan`.
func PlanCommand() *cobra.Command {
	var flags planFlags
	command := &cobra.Command{
		Use:   "plan {-f FILE | deploy/NAME --image CONTAINER=IMAGE}",
		Short: "Say what an update of a Deployment will do, before it is done",
		Long: `Say what an update of a Deployment will do, before it is done: what differs, each
wave of Pods with its cause, the bounds that are kept, how long it takes, and what
would stop it: quotas, nodes too full for the surge, limit ranges, ConfigMaps,
Secrets and service accounts that are missing, volumes and images that no node can
start, fields that cannot be changed.

It changes nothing. The API is asked with dry runs (-f as kubectl apply would, and
one Pod of the new template), and the rollout is computed by the same code that
drives the live controller. How Pods behave is assumed: each is ready after
--ready-after and, when it is told to stop, gone after --stop-after.

The exit code is 0 if the update comes to its end, 2 if something stops it or it
exceeds its progress deadline, 1 if it could not be foreseen.`,
		Example: `  cox plan -f new.yaml
  cox plan deploy/http-go --image http-go=gasbugs/http-go:v2
  cox plan deploy/http-go --image '*=gasbugs/http-go:v2' --ready-after 20s -n shop
  kustomize build . | cox plan -f - -o json`,
		Args: cobra.ArbitraryArgs,
	}
	connection := addConnection(command.Flags())
	set := command.Flags()
	set.StringArrayVarP(&flags.files, "filename", "f", nil, "`file` or directory with the new Deployment, or - for standard input (repeatable)")
	set.StringArrayVar(&flags.images, "image", nil, "`CONTAINER=IMAGE` to set, * for every container (repeatable)")
	set.StringVarP(&flags.output, "output", "o", "", "`form` of the output: json, one document for each Deployment, or empty for text")
	set.DurationVar(&flags.model.ReadyAfter, "ready-after", 5*time.Second, "`time` from a Pod's placement until it is ready; minReadySeconds comes after it")
	set.DurationVar(&flags.model.StopAfter, "stop-after", time.Second, "`time` from a Pod's deletion until it is gone, at most its grace period")
	command.RunE = func(command *cobra.Command, args []string) error {
		name, err := flags.check(args)
		if err != nil {
			return err
		}
		var manifests []manifest
		if name == "" {
			if manifests, err = readManifests("-f", flags.files, command.InOrStdin()); err != nil {
				return err
			}
		}
		session, err := connection.open(command.ErrOrStderr())
		if err != nil {
			return err
		}
		return session.plan(command.Context(), command.OutOrStdout(), name, manifests, flags)
	}
	return command
}

// check returns the name of the Deployment, empty if files say what is new.
func (f planFlags) check(args []string) (string, error) {
	if err := cmp.Or(checkOutput(f.output), checkStdin(f.files)); err != nil {
		return "", err
	}
	if f.model.ReadyAfter < 0 || f.model.StopAfter < 0 {
		return "", errors.New("--ready-after and --stop-after are times from 0 on, such as 20s")
	}
	switch {
	case len(args) == 0 && len(f.files) == 0:
		return "", errors.New("say what is new: -f FILE, or deploy/NAME --image CONTAINER=IMAGE")
	case len(args) == 0 && len(f.images) > 0:
		return "", errors.New("--image goes with deploy/NAME, not with -f: the file says the image")
	case len(args) == 0:
		return "", nil
	case len(f.files) > 0 && exists(args[0]): // as the shell makes it of -f *.yaml
		return "", fmt.Errorf("-f names one file or directory: write -f %s too", args[0])
	case len(f.files) > 0:
		return "", fmt.Errorf("give either -f or %s, not both", args[0])
	}
	name, rest, err := parseDeployment(args)
	switch {
	case err != nil:
		return "", err
	case len(rest) > 0:
		return "", fmt.Errorf("%q is too much: name one Deployment, and what is new by --image CONTAINER=IMAGE", rest[0])
	case len(f.images) == 0:
		return "", fmt.Errorf("say what is new in deploy/%s: --image CONTAINER=IMAGE", name)
	}
	return name, nil
}

// plan foresees a change of the named Deployment, or those that the manifests
// are, and prints it.
func (s *session) plan(ctx context.Context, out io.Writer, name string, manifests []manifest, flags planFlags) error {
	var updates []*planned
	var err error
	if name != "" {
		updates, err = s.imageUpdate(ctx, name, flags.images)
	} else {
		updates, err = s.fileUpdates(ctx, manifests)
	}
	if err != nil {
		return s.explain(err)
	}
	stopped := false
	for i, update := range updates {
		p := plan.NewRefused(update.namespace, update.name, update.before, update.refused...)
		if len(update.refused) == 0 {
			in, err := s.observe(ctx, update, manifests)
			if err != nil {
				return s.explain(err)
			}
			in.Model = flags.model
			p = plan.Make(in)
		}
		if err := writePlan(out, p, flags.output, i); err != nil {
			return err
		}
		stopped = stopped || p.Outcome.State != plan.Complete
	}
	if flags.output == "" {
		fmt.Fprint(out, leftOut(updates, manifests))
	}
	if stopped {
		return errExit(exitStopped)
	}
	return nil
}

// writePlan prints one plan; several in JSON are one document after the other.
func writePlan(out io.Writer, p plan.Plan, form string, index int) error {
	if form == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(p)
	}
	if index > 0 {
		fmt.Fprintln(out)
	}
	_, err := io.WriteString(out, p.String())
	return err
}

// leftOut says what plans of several objects do not look at.
func leftOut(updates []*planned, manifests []manifest) string {
	text := ""
	if len(updates) > 1 {
		text += "\nEach is planned as if it were done alone: together they may need more room.\n"
	}
	if others := notPlanned(manifests); others != "" {
		text += fmt.Sprintf("\nNot planned, since only Deployments roll: %s\n", others)
	}
	return text
}

// notPlanned names the objects of the manifests that are no Deployments.
func notPlanned(manifests []manifest) string {
	var names []string
	for _, m := range manifests {
		if !m.isDeployment() {
			names = append(names, fmt.Sprintf("%s/%s", strings.ToLower(m.Kind), m.Metadata.Name))
		}
	}
	return strings.Join(names, ", ")
}
