package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"coxswain.dev/cox/internal/rollout"
)

// revision is a template that the Deployment has or had.
type revision struct {
	// number is 0 for a template that was not rolled out yet: the Deployment
	// is paused, or its controller has not seen it.
	number   int64
	template corev1.PodTemplateSpec
	cause    string
	// set is nil for a template that was not rolled out.
	set *appsv1.ReplicaSet
}

// revisions are a Deployment with its history.
type revisions struct {
	deployment *appsv1.Deployment
	// kept are those with a ReplicaSet, the oldest number first.
	kept    []revision
	current revision
}

// changeCause is the annotation in which kubectl keeps the command.
const changeCause = "kubernetes.io/change-cause"

func (s *session) revisions(ctx context.Context, name string) (*revisions, error) {
	d, err := s.deployment(ctx, name)
	if err != nil {
		return nil, err
	}
	sets, err := s.AppsV1().ReplicaSets(s.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing the revisions of deployment %q: %w", name, err)
	}
	return newRevisions(d, sets.Items), nil
}

// deployment reads a Deployment; of one that is not there, it names a near one.
func (s *session) deployment(ctx context.Context, name string) (*appsv1.Deployment, error) {
	d, err := s.AppsV1().Deployments(s.namespace).Get(ctx, name, metav1.GetOptions{})
	switch {
	case err == nil:
		return d, nil
	case !apierrors.IsNotFound(err):
		return nil, err
	}
	hint := ""
	if all, err := s.AppsV1().Deployments(s.namespace).List(ctx, metav1.ListOptions{Limit: 500}); err == nil {
		var names []string
		for _, d := range all.Items {
			names = append(names, d.Name)
		}
		if near, found := nearest(name, names); found {
			hint = fmt.Sprintf(" (did you mean %q?)", near)
		}
	}
	return nil, fmt.Errorf("there is no deployment %q in namespace %q%s", name, s.namespace, hint)
}

func newRevisions(d *appsv1.Deployment, sets []appsv1.ReplicaSet) *revisions {
	r := &revisions{deployment: d, current: revision{template: d.Spec.Template, cause: d.Annotations[changeCause]}}
	for _, rs := range sets {
		number := rollout.Revision(rs.Annotations)
		if !metav1.IsControlledBy(&rs, d) || number == 0 {
			continue
		}
		kept := revision{number, *rs.Spec.Template.DeepCopy(), rs.Annotations[changeCause], &rs}
		delete(kept.template.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
		r.kept = append(r.kept, kept)
	}
	slices.SortFunc(r.kept, func(a, b revision) int {
		return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(a.set.Name, b.set.Name))
	})
	for _, kept := range r.kept {
		if rollout.IsCurrent(kept.set, d) {
			r.current = kept
		}
	}
	return r
}

// previous is what `undo` goes back to: the highest revision that is not the
// current one. While changes wait in a paused Deployment, that is what runs.
func (r *revisions) previous() (revision, error) {
	for _, kept := range slices.Backward(r.kept) {
		if r.current.set == nil || kept.set.UID != r.current.set.UID {
			return kept, nil
		}
	}
	if len(r.kept) == 0 {
		return revision{}, fmt.Errorf("deployment %q has no revisions yet", r.deployment.Name)
	}
	return revision{}, fmt.Errorf("deployment %q has no earlier revision: there is only %d", r.deployment.Name, r.current.number)
}

// find is a revision by its number, or an error that lists those that exist.
func (r *revisions) find(number int64) (revision, error) {
	for _, kept := range r.kept {
		if kept.number == number {
			return kept, nil
		}
	}
	for _, kept := range r.kept {
		before := strings.Split(kept.set.Annotations[rollout.RevisionHistoryAnnotation], ",")
		if slices.Contains(before, strconv.FormatInt(number, 10)) {
			return revision{}, fmt.Errorf("deployment %q has no revision %d any more: it was taken up again, and is revision %d now", r.deployment.Name, number, kept.number)
		}
	}
	return revision{}, fmt.Errorf("deployment %q has no revision %d: there %s", r.deployment.Name, number, r.list())
}

// list is "are 1, 2 and 3 (current)".
func (r *revisions) list() string {
	var names []string
	for _, kept := range r.kept {
		name := strconv.FormatInt(kept.number, 10)
		if r.current.set != nil && kept.set.UID == r.current.set.UID {
			name += " (current)"
		}
		names = append(names, name)
	}
	switch n := len(names); n {
	case 0:
		return "are none yet"
	case 1:
		return "is only " + names[0]
	default:
		return "are " + strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
}

// parseRevision reads the number of a revision.
func parseRevision(text string) (int64, error) {
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil || number < 1 {
		return 0, fmt.Errorf("%q is no revision: give a number from 1 on, as kubectl rollout history lists them", text)
	}
	return number, nil
}
