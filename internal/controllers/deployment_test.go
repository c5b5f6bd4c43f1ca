package controllers_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// deployments is what the tests do with one Deployment called web.
type deployments struct {
	*testing.T
	client kubernetes.Interface
}

func startDeployments(t *testing.T) deployments {
	client := withControllers(t, nil)
	runKubelet(t, client)
	return deployments{t, client}
}

func (d deployments) create(replicas int32, change ...func(*appsv1.Deployment)) {
	d.Helper()
	set := replicaSet(replicas)
	made := &appsv1.Deployment{ObjectMeta: set.ObjectMeta, Spec: appsv1.DeploymentSpec{Replicas: &replicas, Selector: set.Spec.Selector, Template: set.Spec.Template}}
	for _, f := range change {
		f(made)
	}
	if _, err := d.client.AppsV1().Deployments("default").Create(d.Context(), made, metav1.CreateOptions{}); err != nil {
		d.Fatal(err)
	}
}

func (d deployments) patch(patch string) {
	d.Helper()
	_, err := d.client.AppsV1().Deployments("default").Patch(d.Context(), "web", types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		d.Fatal(err)
	}
}

func (d deployments) image(image string) {
	d.Helper()
	d.patch(fmt.Sprintf(`{"spec":{"template":{"spec":{"containers":[{"name":"main","image":%q}]}}}}`, image))
}

func (d deployments) get() *appsv1.Deployment {
	d.Helper()
	found, err := d.client.AppsV1().Deployments("default").Get(d.Context(), "web", metav1.GetOptions{})
	if err != nil {
		d.Fatal(err)
	}
	return found
}

// rolledOut waits as `kubectl rollout status` does, and returns the Deployment.
func (d deployments) rolledOut() *appsv1.Deployment {
	d.Helper()
	var found *appsv1.Deployment
	eventually(d.T, func() error {
		found = d.get()
		s, wanted := found.Status, *found.Spec.Replicas
		if s.ObservedGeneration < found.Generation || s.UpdatedReplicas != wanted || s.Replicas != wanted || s.AvailableReplicas != wanted {
			return fmt.Errorf("generation %d: %+v", found.Generation, s)
		}
		return nil
	})
	return found
}

// sets are the ReplicaSets by the image of their template: "web:v1 3".
func (d deployments) sets() []string {
	d.Helper()
	list, err := d.client.AppsV1().ReplicaSets("default").List(d.Context(), metav1.ListOptions{})
	if err != nil {
		d.Fatal(err)
	}
	var texts []string
	for _, set := range list.Items {
		texts = append(texts, fmt.Sprintf("%s %d revision %s", set.Spec.Template.Spec.Containers[0].Image, *set.Spec.Replicas, set.Annotations["deployment.kubernetes.io/revision"]))
	}
	slices.Sort(texts)
	return texts
}

func (d deployments) haveSets(want ...string) {
	d.Helper()
	eventually(d.T, func() error {
		if got := d.sets(); !slices.Equal(got, want) {
			return fmt.Errorf("ReplicaSets are %q, want %q", got, want)
		}
		return nil
	})
}

// conditionOf waits until a condition has this status and reason.
func (d deployments) hasCondition(kind appsv1.DeploymentConditionType, want string) {
	d.Helper()
	eventually(d.T, func() error {
		got := "none"
		for _, c := range d.get().Status.Conditions {
			if c.Type == kind {
				got = fmt.Sprintf("%s %s", c.Status, c.Reason)
			}
		}
		if got != want {
			return fmt.Errorf("%s is %s, want %s", kind, got, want)
		}
		return nil
	})
}

// isGone waits until the Deployment is no more.
func (d deployments) isGone() {
	d.Helper()
	eventually(d.T, func() error {
		_, err := d.client.AppsV1().Deployments("default").Get(d.Context(), "web", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it is still there (%v)", err)
	})
}

func TestADeploymentRollsOutUpdatesAndGoesBack(t *testing.T) {
	d := startDeployments(t)
	d.create(3)
	first := d.rolledOut()
	d.haveSets("web:v1 3 revision 1")
	if first.Annotations["deployment.kubernetes.io/revision"] != "1" || first.Status.ReadyReplicas != 3 {
		t.Errorf("after the first rollout: %v, %+v", first.Annotations, first.Status)
	}
	d.image("web:v2")
	d.rolledOut()
	d.haveSets("web:v1 0 revision 1", "web:v2 3 revision 2")
	d.image("web:v1")
	d.rolledOut()
	d.haveSets("web:v1 3 revision 3", "web:v2 0 revision 2")
	d.hasCondition(appsv1.DeploymentProgressing, "True NewReplicaSetAvailable")
	d.hasCondition(appsv1.DeploymentAvailable, "True MinimumReplicasAvailable")

	eventually(t, func() error {
		events, err := d.client.CoreV1().Events("default").List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.kind=Deployment,reason=ScalingReplicaSet"})
		if err != nil {
			return err
		}
		for _, event := range events.Items {
			if strings.HasPrefix(event.Message, "Scaled up replica set web-") && strings.HasSuffix(event.Message, " from 0 to 3") && event.Source.Component == "deployment-controller" {
				return nil
			}
		}
		return fmt.Errorf("no event tells of the first scaling: %v", events.Items)
	})
}

func TestAPausedDeploymentGathersChangesAndScales(t *testing.T) {
	d := startDeployments(t)
	d.create(2)
	d.rolledOut()
	d.patch(`{"spec":{"paused":true}}`)
	d.hasCondition(appsv1.DeploymentProgressing, "Unknown DeploymentPaused")
	d.image("web:v2")
	d.image("web:v3")
	d.patch(`{"spec":{"replicas":4}}`)
	d.haveSets("web:v1 4 revision 1")
	d.patch(`{"spec":{"paused":false}}`)
	d.rolledOut()
	d.haveSets("web:v1 0 revision 1", "web:v3 4 revision 2")
}

func TestRecreateNeverRunsOldAndNewTogether(t *testing.T) {
	d := startDeployments(t)
	d.create(3, func(d *appsv1.Deployment) { d.Spec.Strategy.Type = appsv1.RecreateDeploymentStrategyType })
	d.rolledOut()
	watch, err := d.client.CoreV1().Pods("default").Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()
	d.image("web:v2")
	images := map[string]string{} // of the Pods there are
	for event := range watch.ResultChan() {
		pod := event.Object.(*corev1.Pod)
		images[pod.Name] = pod.Spec.Containers[0].Image
		if event.Type == "DELETED" {
			delete(images, pod.Name)
		}
		kinds := map[string]int{}
		for _, image := range images {
			kinds[image]++
		}
		if kinds["web:v1"] > 0 && kinds["web:v2"] > 0 {
			t.Fatalf("together are %v", kinds)
		}
		if kinds["web:v2"] == 3 {
			break
		}
	}
	d.rolledOut()
}

func TestABadImageStopsARolloutWithinItsBounds(t *testing.T) {
	d := startDeployments(t)
	d.create(4, func(d *appsv1.Deployment) { deadline := int32(1); d.Spec.ProgressDeadlineSeconds = &deadline })
	d.rolledOut()
	d.image(brokenImage)
	d.hasCondition(appsv1.DeploymentProgressing, "False ProgressDeadlineExceeded")
	d.haveSets("web:broken 2 revision 2", "web:v1 3 revision 1")
	d.hasCondition(appsv1.DeploymentAvailable, "True MinimumReplicasAvailable")
	d.image("web:v2")
	d.rolledOut()
	d.haveSets("web:broken 0 revision 2", "web:v1 0 revision 1", "web:v2 4 revision 3")
	d.hasCondition(appsv1.DeploymentProgressing, "True NewReplicaSetAvailable")
}

func TestHistoryIsKeptAsLongAsTheLimitSays(t *testing.T) {
	d := startDeployments(t)
	limit := int32(1)
	d.create(1, func(d *appsv1.Deployment) { d.Spec.RevisionHistoryLimit = &limit })
	for _, image := range []string{"web:v2", "web:v3", "web:v4"} {
		d.rolledOut()
		d.image(image)
	}
	d.rolledOut()
	d.haveSets("web:v3 0 revision 3", "web:v4 1 revision 4")
}

func TestReplicaSetsAreOrphanedAndAdopted(t *testing.T) {
	d := startDeployments(t)
	d.create(2)
	d.rolledOut()
	orphan := metav1.DeletePropagationOrphan
	if err := d.client.AppsV1().Deployments("default").Delete(t.Context(), "web", metav1.DeleteOptions{PropagationPolicy: &orphan}); err != nil {
		t.Fatal(err)
	}
	d.isGone()
	list, err := d.client.AppsV1().ReplicaSets("default").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 1 || len(list.Items[0].OwnerReferences) > 0 {
		t.Fatalf("the ReplicaSets left are %+v (%v)", list, err)
	}
	before, err := d.client.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	d.create(2)
	d.rolledOut()
	d.haveSets("web:v1 2 revision 1")
	after, err := d.client.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(after.Items) != len(before.Items) || after.Items[0].UID != before.Items[0].UID {
		t.Errorf("%d Pods before, %d after (%v)", len(before.Items), len(after.Items), err)
	}
	background := metav1.DeletePropagationBackground
	if err := d.client.AppsV1().Deployments("default").Delete(t.Context(), "web", metav1.DeleteOptions{PropagationPolicy: &background}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		pods, err := d.client.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{})
		if err == nil && len(pods.Items)+len(d.sets()) > 0 {
			err = fmt.Errorf("left are %d Pods and %q", len(pods.Items), d.sets())
		}
		return err
	})
}

// Names are made of the template's hash: another ReplicaSet may have it.
func TestANameThatIsTakenIsAnsweredWithAnother(t *testing.T) {
	d := startDeployments(t)
	d.create(1)
	d.rolledOut()
	set, err := d.client.AppsV1().ReplicaSets("default").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(set.Items) != 1 {
		t.Fatalf("%v, %v", set, err)
	}
	name := set.Items[0].Name
	foreground := metav1.DeletePropagationForeground
	if err := d.client.AppsV1().Deployments("default").Delete(t.Context(), "web", metav1.DeleteOptions{PropagationPolicy: &foreground}); err != nil {
		t.Fatal(err)
	}
	d.isGone()
	if left := d.sets(); len(left) > 0 {
		t.Fatalf("a foreground deletion has left %q", left)
	}
	taken := replicaSet(0)
	taken.Name = name
	taken.Spec.Selector.MatchLabels = map[string]string{"app": "other"}
	taken.Spec.Template.Labels = map[string]string{"app": "other"}
	if _, err := d.client.AppsV1().ReplicaSets("default").Create(t.Context(), taken, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	d.create(1)
	found := d.rolledOut()
	if found.Status.CollisionCount == nil || *found.Status.CollisionCount != 1 {
		t.Errorf("collisions: %v", found.Status.CollisionCount)
	}
}
