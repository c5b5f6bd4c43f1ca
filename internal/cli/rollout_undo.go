package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/util/retry"

	"coxswain.dev/cox/internal/fielddiff"
	"coxswain.dev/cox/internal/rollout"
)

func undoCommand() *cobra.Command {
	var to, dryRun string
	command := &cobra.Command{
		Use:   "undo deploy/NAME",
		Short: "Go back to the previous or another revision, also while paused",
		Long: `Go back to the previous revision of a Deployment, or to --to-revision, and say
what that changes. It works while the Deployment is paused too, where kubectl
refuses it: changes that wait are taken back, and Pods follow when it is resumed.
The revision that is gone back to gets the next number.

The exit code is 0 if the Deployment was changed (or would be, with --dry-run),
1 for an error, as when it is at that revision already.`,
		Example: `  cox rollout undo deploy/http-go
  cox rollout undo deploy/http-go --to-revision=1 --dry-run
  cox rollout undo deploy/http-go -n shop`,
		Args: cobra.ArbitraryArgs,
	}
	connection := addConnection(command.Flags())
	command.Flags().StringVar(&to, "to-revision", "", "`revision` to go back to (default: the previous one)")
	command.Flags().StringVar(&dryRun, "dry-run", "none", "change nothing, only say what would be: `how` is server, client or none")
	command.Flags().Lookup("dry-run").NoOptDefVal = "server"
	command.RunE = func(command *cobra.Command, args []string) error {
		name, rest, err := parseDeployment(args)
		if err != nil {
			return err
		}
		if len(rest) > 0 {
			return fmt.Errorf("%q is too much: name one Deployment, and the revision with --to-revision", rest[0])
		}
		number := int64(0)
		if to != "" && to != "0" { // kubectl writes 0 for the previous one
			if number, err = parseRevision(to); err != nil {
				return fmt.Errorf("--to-revision: %w", err)
			}
		}
		if dryRun != "none" && dryRun != "server" && dryRun != "client" {
			return fmt.Errorf("--dry-run=%q is not known: use server, client or none", dryRun)
		}
		session, err := connection.open(command.ErrOrStderr())
		if err != nil {
			return err
		}
		return session.undo(command.Context(), command.OutOrStdout(), name, number, dryRun)
	}
	return command
}

// undo goes back to a revision, 0 for the previous one.
func (s *session) undo(ctx context.Context, out io.Writer, name string, number int64, dryRun string) error {
	var history *revisions
	var target revision
	// The controller writes to the Deployment too: on a conflict, look again.
	err := retry.RetryOnConflict(retry.DefaultRetry, func() (err error) {
		if history, err = s.revisions(ctx, name); err != nil {
			return err
		}
		if target, err = history.undoTarget(number); err != nil {
			return err
		}
		return s.takeUp(ctx, history, target, dryRun)
	})
	if err != nil {
		return s.explain(err)
	}
	fmt.Fprint(out, history.undone(target, dryRun))
	return nil
}

// undoTarget is the revision to go back to.
func (r *revisions) undoTarget(number int64) (revision, error) {
	if number == 0 {
		return r.previous()
	}
	target, err := r.find(number)
	if err == nil && r.current.number == number {
		return revision{}, fmt.Errorf("deployment %q is at revision %d already: nothing was changed", r.deployment.Name, number)
	}
	return target, err
}

// takeUp gives the Deployment the template of a revision, if it is still as
// it was seen.
func (s *session) takeUp(ctx context.Context, history *revisions, target revision, dryRun string) error {
	if dryRun == "client" {
		return nil
	}
	d := history.deployment
	patch, err := json.Marshal([]map[string]any{
		{"op": "replace", "path": "/metadata/resourceVersion", "value": d.ResourceVersion},
		{"op": "add", "path": "/metadata/annotations", "value": rollout.RestoredAnnotations(d, target.set)},
		{"op": "replace", "path": "/spec/template", "value": target.template},
	})
	if err != nil {
		return err
	}
	options := metav1.PatchOptions{FieldManager: "cox-rollout"}
	if dryRun == "server" {
		options.DryRun = []string{metav1.DryRunAll}
	}
	_, err = s.AppsV1().Deployments(d.Namespace).Patch(ctx, d.Name, types.JSONPatchType, patch, options)
	return err
}

// undone says what was done.
func (r *revisions) undone(target revision, dryRun string) string {
	d := r.deployment
	from := fmt.Sprintf("from revision %d", r.current.number)
	if r.current.number == 0 {
		from = "from changes that were not rolled out"
	}
	becomes := fmt.Sprintf("it becomes revision %d", r.kept[len(r.kept)-1].number+1)
	if target.number == r.kept[len(r.kept)-1].number {
		becomes = "which it keeps"
	}
	text := fmt.Sprintf("deployment.apps/%s rolled back %s to revision %d (%s)", d.Name, from, target.number, becomes)
	if dryRun != "none" {
		text += fmt.Sprintf(" (%s dry run)", dryRun)
	}
	text += "\n"
	for _, change := range fielddiff.Of(r.current.template, target.template) {
		text += fmt.Sprintf("  %s\n", fielddiff.Short(change))
	}
	if d.Spec.Paused {
		text += fmt.Sprintf("It is paused: no Pod changes before kubectl rollout resume deployment/%s -n %s\n", d.Name, d.Namespace)
	}
	if dryRun == "none" && appliedDiffers(d.Annotations[corev1.LastAppliedConfigAnnotation], target.template) {
		text += "It was made by kubectl apply: applying the same file again brings the change back.\n"
	}
	return text
}

// appliedDiffers tells whether the file that was last given to kubectl apply
// would change a template.
func appliedDiffers(applied string, template corev1.PodTemplateSpec) bool {
	var file struct {
		Spec struct{ Template json.RawMessage }
	}
	if json.Unmarshal([]byte(applied), &file) != nil || len(file.Spec.Template) == 0 {
		return false // it was not made by kubectl apply
	}
	before, err := json.Marshal(template)
	if err != nil {
		return true
	}
	after, err := strategicpatch.StrategicMergePatch(before, file.Spec.Template, corev1.PodTemplateSpec{})
	if err != nil {
		return true
	}
	var reapplied corev1.PodTemplateSpec
	return json.Unmarshal(after, &reapplied) != nil || !equality.Semantic.DeepEqual(reapplied, template)
}
