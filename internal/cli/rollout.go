package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

// RolloutCommand is `cox rollout`: what goes beyond `kubectl rollout`.
func RolloutCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "rollout",
		Short: "Go back to a revision, and see what changed between two",
		Long: `Go back to an earlier revision of a Deployment, also while it is paused, and
see field by field what changed between revisions. For status, history, pause,
resume and restart use kubectl rollout, or cox kubectl rollout.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("cox rollout has undo and diff, not %q: try cox kubectl rollout %s", args[0], args[0])
			}
			return nil
		},
		RunE: func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	command.AddCommand(undoCommand(), diffCommand())
	return command
}
