package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"coxswain.dev/cox/internal/rollout"
)

// apply does one action, and keeps d, a copy of the Deployment, up to date.
// decided is the status that was decided on with it.
func (c *Deployments) apply(ctx context.Context, k Key, d *appsv1.Deployment, action rollout.Action, decided appsv1.DeploymentStatus) error {
	sets := c.SetClient(k.Namespace)
	switch a := action.(type) {
	case rollout.Adopt:
		if err := c.mayAdopt(ctx, k, d); err != nil {
			return err
		}
		return c.setOwner(ctx, k, a.Ref, metav1.NewControllerRef(d, appsv1.SchemeGroupVersion.WithKind("Deployment")))
	case rollout.Release:
		return c.setOwner(ctx, k, a.Ref, map[string]any{"$patch": "delete", "uid": d.UID})
	case rollout.Create:
		return c.create(ctx, k, d, a, decided)
	case rollout.Update:
		return c.update(ctx, k, d, a)
	case rollout.Delete:
		err := sets.Delete(ctx, a.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &a.UID, ResourceVersion: &a.ResourceVersion}})
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
		c.Own.Deleted(k, c.Sets, Key{Namespace: k.Namespace, Name: a.Name}, a.UID)
		return nil
	case rollout.Annotate:
		if d.Annotations == nil {
			d.Annotations = map[string]string{}
		}
		maps.Copy(d.Annotations, a.Annotations)
		return c.write(ctx, k, d)
	case rollout.RollBack:
		d.Annotations = a.Annotations
		if a.Template != nil {
			d.Spec.Template = *a.Template.DeepCopy()
		}
		if err := c.write(ctx, k, d); err != nil {
			return err
		}
		c.record(d, a.Event)
		return nil
	default:
		return fmt.Errorf("rollout gave an unknown action %T", action)
	}
}

// write stores the Deployment, but for its status.
func (c *Deployments) write(ctx context.Context, k Key, d *appsv1.Deployment) error {
	updated, err := c.DeploymentClient(k.Namespace).Update(ctx, d, metav1.UpdateOptions{})
	if err != nil {
		return err
	}
	c.Own.Wrote(k, c.Deployments, updated)
	updated.Status = d.Status
	*d = *updated
	return nil
}

// noteUnanswered remembers a write to a ReplicaSet that may have happened.
func (c *Deployments) noteUnanswered(k Key, action rollout.Action, err error) {
	if !unknownOutcome(err) {
		return
	}
	switch a := action.(type) {
	case rollout.Create:
		c.unanswered.note(k, unknownWrite{name: a.ReplicaSet.Name})
	case rollout.Update:
		c.unanswered.note(k, unknownWrite{name: a.Name})
	case rollout.Adopt:
		c.unanswered.note(k, unknownWrite{name: a.Name})
	case rollout.Release:
		c.unanswered.note(k, unknownWrite{name: a.Name})
	case rollout.Delete:
		c.unanswered.note(k, unknownWrite{a.Name, a.UID})
	}
}

// mayAdopt looks at the Deployment itself: the cache may not know yet that it
// is being deleted with its ReplicaSets orphaned, or that another has its name.
func (c *Deployments) mayAdopt(ctx context.Context, k Key, d *appsv1.Deployment) error {
	live, err := c.DeploymentClient(k.Namespace).Get(ctx, k.Name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("Deployment %s: not adopting ReplicaSets: %w", k, err)
	}
	return adoptable("Deployment", k, d.UID, live, "ReplicaSets")
}

// adoptable tells why what was read now, live, may not adopt.
func adoptable(kind string, k Key, uid types.UID, live metav1.Object, what string) error {
	switch {
	case live.GetUID() != uid:
		return fmt.Errorf("%s %s: not adopting %s: it is gone, and another has its name", kind, k, what)
	case live.GetDeletionTimestamp() != nil:
		return fmt.Errorf("%s %s: not adopting %s: it is being deleted", kind, k, what)
	}
	return nil
}

// setOwner adopts or releases a ReplicaSet, in the state in which it was seen.
func (c *Deployments) setOwner(ctx context.Context, k Key, ref rollout.Ref, owner any) error {
	patch, err := ownerPatch(owner, ref.UID, ref.ResourceVersion)
	if err != nil {
		return err
	}
	updated, err := c.SetClient(k.Namespace).Patch(ctx, ref.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	}
	c.Own.Wrote(k, c.Sets, updated)
	return nil
}

// ownerPatch is a strategic merge patch of one owner of an object in a state as
// seen. Owners are merged by their UID: those that are not its controller stay.
func ownerPatch(owner any, uid types.UID, resourceVersion string) ([]byte, error) {
	return json.Marshal(map[string]any{"metadata": map[string]any{
		"ownerReferences": []any{owner}, "uid": uid, "resourceVersion": resourceVersion,
	}})
}

// create makes a ReplicaSet. If its name is taken, it may be our own of a
// moment ago, whose answer was lost; another template's makes the Deployment
// choose another name.
func (c *Deployments) create(ctx context.Context, k Key, d *appsv1.Deployment, a rollout.Create, decided appsv1.DeploymentStatus) error {
	sets := c.SetClient(k.Namespace)
	made, err := sets.Create(ctx, a.ReplicaSet, metav1.CreateOptions{})
	switch {
	case err == nil:
		c.Own.Wrote(k, c.Sets, made)
		c.record(d, a.Event)
		return nil
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return err // the Deployment goes too, and nothing can be told of it
	case !apierrors.IsAlreadyExists(err):
		return c.createFailed(ctx, k, d, decided, a.ReplicaSet.Name, err)
	}
	existing, err := sets.Get(ctx, a.ReplicaSet.Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if metav1.IsControlledBy(existing, d) && equality.Semantic.DeepEqual(existing.Spec.Template, a.ReplicaSet.Spec.Template) {
		c.Own.Wrote(k, c.Sets, existing)
		return nil
	}
	status := *d.Status.DeepCopy()
	collisions := int32(1)
	if status.CollisionCount != nil {
		collisions += *status.CollisionCount
	}
	status.CollisionCount = &collisions
	if err := c.writeStatus(ctx, k, d, status); err != nil {
		return err
	}
	return fmt.Errorf("the name %s is taken by another template, another one will be chosen", existing.Name)
}

// createFailed tells users why a ReplicaSet cannot be made. A broken connection
// tells nothing about that: the ReplicaSet may be there.
func (c *Deployments) createFailed(ctx context.Context, k Key, d *appsv1.Deployment, decided appsv1.DeploymentStatus, name string, err error) error {
	message := fmt.Sprintf("Failed to create new replica set %q: %v", name, err)
	c.Events.Event(d, corev1.EventTypeWarning, rollout.ReplicaSetCreateError, message)
	if answer := apierrors.APIStatus(nil); !errors.As(err, &answer) {
		return err
	}
	if untold := c.writeStatus(ctx, k, d, rollout.CreateFailed(d, decided, message, c.Now())); untold != nil {
		// The cause is what decides what is done next.
		return fmt.Errorf("%w (nor could the status say so: %v)", err, untold)
	}
	return err
}

func (c *Deployments) update(ctx context.Context, k Key, d *appsv1.Deployment, a rollout.Update) error {
	item, exists, err := c.Sets.GetByKey(Key{Namespace: k.Namespace, Name: a.Name}.String())
	if err != nil || !exists {
		return err
	}
	copied := *item.(*appsv1.ReplicaSet)
	rs := &copied
	rs.UID, rs.ResourceVersion = a.UID, a.ResourceVersion
	rs.Spec.Replicas, rs.Spec.MinReadySeconds = &a.To, a.MinReadySeconds
	rs.Annotations = maps.Clone(rs.Annotations)
	if rs.Annotations == nil {
		rs.Annotations = map[string]string{}
	}
	maps.Copy(rs.Annotations, a.Annotations)
	updated, err := c.SetClient(k.Namespace).Update(ctx, rs, metav1.UpdateOptions{})
	if err != nil {
		return err
	}
	c.Own.Wrote(k, c.Sets, updated)
	c.record(d, a.Event)
	return nil
}

func (c *Deployments) record(d *appsv1.Deployment, event *rollout.Event) {
	if event != nil {
		c.Events.Event(d, event.Type, event.Reason, event.Message)
	}
}

func (c *Deployments) writeStatus(ctx context.Context, k Key, d *appsv1.Deployment, status appsv1.DeploymentStatus) error {
	if sameMeaning(&d.Status, &status) {
		return nil
	}
	d.Status = status
	updated, err := c.DeploymentClient(k.Namespace).UpdateStatus(ctx, d, metav1.UpdateOptions{})
	if err != nil {
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	}
	c.Own.Wrote(k, c.Deployments, updated)
	return nil
}
