package cli_test

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// rollout runs cox rollout and keeps what it prints.
func (c *cluster) rollout(g *golden, args ...string) {
	c.t.Helper()
	args = append([]string{"rollout"}, args...)
	g.add("cox "+strings.Join(args, " "), c.run(strings.NewReader(""), args...))
}

func setImage(image string) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.Containers[0].Image = image
		metav1.SetMetaDataAnnotation(&d.ObjectMeta, "kubernetes.io/change-cause", "set image "+image)
	}
}

func TestRolloutDiff(t *testing.T) {
	c := newCluster(t)
	g := newGolden(t, "rollout-diff")
	c.make(web)
	c.rollout(g, "diff", "deploy/web")
	c.change("web", setImage("web:v2"))
	c.rolledOut("web")
	c.change("web", func(d *appsv1.Deployment) {
		setImage("web:v3")(d)
		d.Spec.Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "COLOUR", Value: "green"}}
	})
	c.rolledOut("web")
	c.rollout(g, "diff", "deploy/web")
	c.rollout(g, "diff", "deploy", "web", "1")
	c.rollout(g, "diff", "deploy/web", "1", "2", "-o", "json")
	c.rollout(g, "diff", "deploy/web", "2", "2")
	c.rollout(g, "diff", "deploy/web", "7")
	c.rollout(g, "diff", "deploy/wbe")
	c.rollout(g, "diff", "deploy/web", "-n", "elsewhere")
	c.change("web", func(d *appsv1.Deployment) { d.Spec.Paused = true; setImage("web:v4")(d) })
	c.rollout(g, "diff", "deploy/web")
	g.compare()
}

// TestRolloutUndoOfAnApplied: the warning that the file brings a change back
// comes only where it would.
func TestRolloutUndoOfAnApplied(t *testing.T) {
	c := newCluster(t)
	g := newGolden(t, "rollout-undo-applied")
	c.make(web)
	c.change("web", func(d *appsv1.Deployment) {
		metav1.SetMetaDataAnnotation(&d.ObjectMeta, corev1.LastAppliedConfigAnnotation,
			`{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"web:v1","resources":{"requests":{"cpu":"0.5"}}}]}}}}`)
	})
	c.change("web", setImage("web:v2"))
	c.rolledOut("web")
	c.rollout(g, "undo", "deploy/web") // to what the file says
	c.rolledOut("web")
	c.rollout(g, "undo", "deploy/web") // away from it
	g.compare()
}

func TestRolloutUndo(t *testing.T) {
	c := newCluster(t)
	g := newGolden(t, "rollout-undo")
	c.make(web)
	c.rollout(g, "undo", "deploy/web")
	for _, image := range []string{"web:v2", "web:v3"} {
		c.change("web", setImage(image))
		c.rolledOut("web")
	}
	c.rollout(g, "undo", "deploy/web", "--dry-run")
	c.expect("web:v3", "set image web:v3")
	c.rollout(g, "undo", "deploy/web")
	c.rolledOut("web")
	c.expect("web:v2", "set image web:v2")
	c.rollout(g, "undo", "deploy/web", "--to-revision=4")
	c.rollout(g, "undo", "deploy/web", "--to-revision=2")
	c.rollout(g, "undo", "deploy/web", "--to-revision=9")
	c.rollout(g, "undo", "deploy/web", "--to-revision=1")
	c.rolledOut("web")
	c.expect("web:v1", "")
	g.compare()
}

// TestUndoWhilePaused is SPEC U11: kubectl refuses it.
func TestUndoWhilePaused(t *testing.T) {
	c := newCluster(t)
	g := newGolden(t, "rollout-undo-paused")
	c.make(web)
	c.change("web", setImage("web:v2"))
	c.rolledOut("web")

	// A change that waits is taken back to what runs.
	c.change("web", func(d *appsv1.Deployment) { d.Spec.Paused = true; setImage("broken:v3")(d) })
	c.rollout(g, "undo", "deploy/web")
	c.expect("web:v2", "set image web:v2")
	c.change("web", func(d *appsv1.Deployment) { d.Spec.Paused = false })
	c.rolledOut("web")

	// A rollout that was stopped in its middle goes back when it is resumed.
	c.change("web", setImage("broken:v3"))
	c.eventually("the broken rollout has begun", func() (bool, error) {
		d, err := c.AppsV1().Deployments("default").Get(t.Context(), "web", metav1.GetOptions{})
		return err == nil && d.Status.UpdatedReplicas == 1 && d.Annotations["deployment.kubernetes.io/revision"] == "3", err
	})
	c.change("web", func(d *appsv1.Deployment) { d.Spec.Paused = true })
	c.rollout(g, "undo", "deploy/web")
	c.expect("web:v2", "set image web:v2")
	c.change("web", func(d *appsv1.Deployment) { d.Spec.Paused = false })
	c.rolledOut("web")
	g.compare()
}

// expect checks the Deployment's image and change-cause.
func (c *cluster) expect(image, cause string) {
	c.t.Helper()
	d, err := c.AppsV1().Deployments("default").Get(c.t.Context(), "web", metav1.GetOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	if got := d.Spec.Template.Spec.Containers[0].Image; got != image {
		c.t.Errorf("the image is %s, not %s", got, image)
	}
	if got := d.Annotations["kubernetes.io/change-cause"]; got != cause {
		c.t.Errorf("the change-cause is %q, not %q", got, cause)
	}
	if _, leaked := d.Spec.Template.Labels[appsv1.DefaultDeploymentUniqueLabelKey]; leaked {
		c.t.Error("the template has a ReplicaSet's hash")
	}
}
