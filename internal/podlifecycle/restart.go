package podlifecycle

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// The back-off of containers that end again and again.
const (
	initialBackoff = 10 * time.Second
	maxBackoff     = 300 * time.Second
	// A container that ran this long starts from the beginning.
	backoffReset = 2 * maxBackoff
)

// shownFor is how long a fresh error is shown as it is before the back-off it
// led to is shown instead.
const shownFor = 2 * time.Second

// restarts tells whether the restart policies give a container that ended with
// this code another start. A code of -1 stands for any failure.
func (v *view) restarts(spec *corev1.Container, exitCode int32) bool {
	for _, rule := range spec.RestartPolicyRules {
		codes := rule.ExitCodes
		if rule.Action != corev1.ContainerRestartRuleActionRestart || codes == nil {
			continue
		}
		if slices.Contains(codes.Values, exitCode) == (codes.Operator == corev1.ContainerRestartRuleOnExitCodesOpIn) {
			return true
		}
	}
	policy := v.Pod.Spec.RestartPolicy
	if spec.RestartPolicy != nil {
		policy = corev1.RestartPolicy(*spec.RestartPolicy)
	}
	switch policy {
	case corev1.RestartPolicyNever:
		return false
	case corev1.RestartPolicyOnFailure:
		return exitCode != 0
	default:
		// An init container that succeeded has done its work.
		return exitCode != 0 || isSidecar(spec) || !v.isInit(spec.Name)
	}
}

// restartDue is when a container may be started again, and the back-off that
// is then written on the new one. The first restart is at once.
func (v *view) restartDue(name string) (due time.Time, backoff time.Duration) {
	c := v.current(name)
	if c == nil || c.State != Exited {
		return time.Time{}, 0
	}
	if c.FinishedAt.Sub(c.CreatedAt) > backoffReset {
		return time.Time{}, initialBackoff
	}
	return c.FinishedAt.Add(c.Backoff), min(max(2*c.Backoff, initialBackoff), maxBackoff)
}

// crashLoop is the state of a container that waits for its next start, nil if
// it does not wait.
func (v *view) crashLoop(name string) *corev1.ContainerStateWaiting {
	due, _ := v.restartDue(name)
	if !v.Now.Before(due) {
		return nil
	}
	return &corev1.ContainerStateWaiting{
		Reason:  "CrashLoopBackOff",
		Message: fmt.Sprintf("back-off %s restarting failed container=%s pod=%s", shortDuration(v.current(name).Backoff), name, v.podText()),
	}
}

func (v *view) crashLoopEvent(name string) string {
	return fmt.Sprintf("Back-off restarting failed container %s in pod %s", name, v.podText())
}

// podText names the Pod as messages do.
func (v *view) podText() string {
	return fmt.Sprintf("%s_%s(%s)", v.Pod.Name, v.Pod.Namespace, v.Pod.UID)
}

// shortDuration is the form of back-offs in messages: 10s, 1m20s, 5m0s.
func shortDuration(d time.Duration) string { return d.String() }

// HashOf is a hash of those parts of a container whose change restarts it.
func HashOf(spec *corev1.Container) string {
	content, err := json.Marshal(map[string]string{"name": spec.Name, "image": spec.Image})
	if err != nil {
		panic(err) // a map of strings always marshals
	}
	hash := fnv.New32a()
	hash.Write(content)
	return strconv.FormatUint(uint64(hash.Sum32()), 16)
}
