package rollout_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"coxswain.dev/cox/internal/rollout"
)

// The ReplicaSet that is made, whole, and the Deployment as it was.
func TestANewReplicaSet(t *testing.T) {
	for name, selector := range map[string]*metav1.LabelSelector{
		"of labels": {MatchLabels: map[string]string{"app": "web"}},
		"of expressions": {MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: "app", Operator: metav1.LabelSelectorOpExists}}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.deployment.Spec.Selector = selector
			w.deployment.Spec.MinReadySeconds = 7
			before := w.deployment.DeepCopy()
			var made *appsv1.ReplicaSet
			for _, action := range w.decide().Actions {
				if create, ok := action.(rollout.Create); ok {
					made = create.ReplicaSet
				}
			}
			if made == nil {
				t.Fatal("nothing was made")
			}

			hash := rollout.Hash(&before.Spec.Template, nil)
			labels := map[string]string{"app": "web", "pod-template-hash": hash}
			wantSelector := selector.DeepCopy()
			if wantSelector.MatchLabels == nil {
				wantSelector.MatchLabels = map[string]string{}
			}
			wantSelector.MatchLabels["pod-template-hash"] = hash
			replicas := int32(3)
			want := &appsv1.ReplicaSet{
				ObjectMeta: metav1.ObjectMeta{
					Name: "web-" + hash, Namespace: "default", Labels: labels, OwnerReferences: w.owner(),
					Annotations: map[string]string{
						rollout.RevisionAnnotation: "1", rollout.DesiredReplicasAnnotation: "3", rollout.MaxReplicasAnnotation: "4",
					},
				},
				Spec: appsv1.ReplicaSetSpec{Replicas: &replicas, MinReadySeconds: 7, Selector: wantSelector, Template: *before.Spec.Template.DeepCopy()},
			}
			want.Spec.Template.Labels = labels
			if diff := cmp.Diff(want, made); diff != "" {
				t.Errorf("the new ReplicaSet (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, w.deployment); diff != "" {
				t.Errorf("the Deployment was changed (-before +after):\n%s", diff)
			}
		})
	}
}

// A Deployment may have a name as long as any: its ReplicaSets' end with the hash.
func TestALongNameLeavesRoomForTheHash(t *testing.T) {
	hash := rollout.Hash(&newWorld().deployment.Spec.Template, nil)
	room := validation.DNS1123SubdomainMaxLength - len(hash) - 1
	for name, want := range map[string]string{
		strings.Repeat("a", room):                                 strings.Repeat("a", room),
		strings.Repeat("a", room+1):                               strings.Repeat("a", room),
		strings.Repeat("a", validation.DNS1123SubdomainMaxLength): strings.Repeat("a", room),
		strings.Repeat("a", room-1) + ".b":                        strings.Repeat("a", room-1),
	} {
		w := newWorld()
		w.deployment.Name = name
		made := w.decide().Actions[0].(rollout.Create).ReplicaSet
		if made.Name != want+"-"+hash {
			t.Errorf("%s: its ReplicaSet is %s", name, made.Name)
		}
		if wrong := validation.IsDNS1123Subdomain(made.Name); len(wrong) > 0 {
			t.Errorf("%s: %q", made.Name, wrong)
		}
	}
}

// Whoever has asked for no progress in time has no condition of it.
func TestARefusalWithoutADeadlineIsNoCondition(t *testing.T) {
	w := newWorld()
	if got := rollout.CreateFailed(w.deployment, w.deployment.Status, "no", w.now).Conditions; len(got) != 1 || got[0].Message != "no" {
		t.Errorf("with a deadline: %+v", got)
	}
	w.deployment.Spec.ProgressDeadlineSeconds = nil
	if got := rollout.CreateFailed(w.deployment, w.deployment.Status, "no", w.now).Conditions; len(got) > 0 {
		t.Errorf("without: %+v", got)
	}
}

// While the new ReplicaSet cannot be made, the status follows the old Pods, and
// is the same as long as they are.
func TestARefusalHidesNothingOfOldPods(t *testing.T) {
	w := newWorld()
	do := func(lines ...string) {
		for _, line := range lines {
			if err := w.Do(line); err != nil {
				t.Fatal(err)
			}
		}
	}
	do("rs web-a replicas=3 pods=3 revision=1 desired=3 max=4", "deployment image=v2", "refused no")
	do("rs web-a ready=1 available=1", "clock +1m", "refused no")
	before := w.deployment.Status
	if before.ObservedGeneration != w.deployment.Generation || before.AvailableReplicas != 1 || before.UpdatedReplicas != 0 {
		t.Errorf("the status is %+v", before)
	}
	reasons := map[appsv1.DeploymentConditionType]string{}
	for _, c := range before.Conditions {
		reasons[c.Type] = c.Reason
		if c.Type == appsv1.DeploymentProgressing && !c.LastTransitionTime.Time.Equal(start) {
			t.Errorf("the refusal is said to be new: %+v", c)
		}
	}
	if reasons[appsv1.DeploymentAvailable] != rollout.MinimumReplicasUnavailable || reasons[appsv1.DeploymentProgressing] != rollout.ReplicaSetCreateError {
		t.Errorf("the conditions are %+v", before.Conditions)
	}
	do("clock +1m", "refused no")
	if !equality.Semantic.DeepEqual(before, w.deployment.Status) {
		t.Errorf("nothing is new, and the status is another: %+v", w.deployment.Status)
	}
}
