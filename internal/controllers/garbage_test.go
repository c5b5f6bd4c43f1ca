package controllers_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
)

// makeMap makes a ConfigMap with these owners.
func makeMap(t *testing.T, client kubernetes.Interface, name string, owners ...metav1.OwnerReference) *corev1.ConfigMap {
	t.Helper()
	made, err := client.CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, OwnerReferences: owners}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func ownedBy(owner *corev1.ConfigMap, blocking bool) metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID, BlockOwnerDeletion: &blocking}
}

func deleteMap(t *testing.T, client kubernetes.Interface, name string, how metav1.DeletionPropagation) {
	t.Helper()
	if err := client.CoreV1().ConfigMaps("default").Delete(t.Context(), name, metav1.DeleteOptions{PropagationPolicy: &how}); err != nil {
		t.Fatal(err)
	}
}

// goesAway waits until a ConfigMap is no more.
func goesAway(t *testing.T, client kubernetes.Interface, name string) {
	t.Helper()
	eventually(t, func() error {
		_, err := client.CoreV1().ConfigMaps("default").Get(t.Context(), name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("%s is still there (%v)", name, err)
	})
}

// stays returns a ConfigMap that must be there.
func stays(t *testing.T, client kubernetes.Interface, name string) *corev1.ConfigMap {
	t.Helper()
	found, err := client.CoreV1().ConfigMaps("default").Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// fence waits until the collector has come this far: it makes and loses an
// owner, and waits until the orphan has gone.
func fence(t *testing.T, client kubernetes.Interface, name string) {
	t.Helper()
	owner := makeMap(t, client, name)
	makeMap(t, client, name+"-below", ownedBy(owner, false))
	deleteMap(t, client, name, metav1.DeletePropagationBackground)
	goesAway(t, client, name+"-below")
}

func TestGarbage(t *testing.T) {
	client := withControllers(t, nil)

	t.Run("background: dependents follow, to the last", func(t *testing.T) {
		top := makeMap(t, client, "b-top")
		middle := makeMap(t, client, "b-middle", ownedBy(top, true))
		makeMap(t, client, "b-bottom", ownedBy(middle, false))
		deleteMap(t, client, "b-top", metav1.DeletePropagationBackground)
		for _, name := range []string{"b-top", "b-middle", "b-bottom"} {
			goesAway(t, client, name)
		}
	})

	t.Run("foreground: the owner goes last, but waits only for who blocks it", func(t *testing.T) {
		top := makeMap(t, client, "f-top")
		held := makeMap(t, client, "f-held", ownedBy(top, true))
		makeMap(t, client, "f-free", ownedBy(top, false))
		patch := []byte(`{"metadata":{"finalizers":["example.com/hold"]}}`)
		for _, name := range []string{"f-held", "f-free"} {
			if _, err := client.CoreV1().ConfigMaps("default").Patch(t.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		deleteMap(t, client, "f-top", metav1.DeletePropagationForeground)
		eventually(t, func() error {
			if found := stays(t, client, held.Name); found.DeletionTimestamp == nil {
				return fmt.Errorf("%s is not being deleted", held.Name)
			}
			return nil
		})
		fence(t, client, "f-fence")
		if top := stays(t, client, "f-top"); top.DeletionTimestamp == nil || len(top.Finalizers) != 1 || top.Finalizers[0] != metav1.FinalizerDeleteDependents {
			t.Errorf("the owner waits as %v, finalizers %v", top.DeletionTimestamp, top.Finalizers)
		}
		release := []byte(`{"metadata":{"finalizers":null}}`)
		if _, err := client.CoreV1().ConfigMaps("default").Patch(t.Context(), "f-held", types.MergePatchType, release, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		goesAway(t, client, "f-held")
		goesAway(t, client, "f-top")
		if found := stays(t, client, "f-free"); found.DeletionTimestamp == nil {
			t.Error("who does not block the owner was not deleted with it")
		}
	})

	t.Run("orphan: dependents stay, without the owner", func(t *testing.T) {
		top := makeMap(t, client, "o-top")
		other := makeMap(t, client, "o-other")
		makeMap(t, client, "o-below", ownedBy(top, true), ownedBy(other, false))
		deleteMap(t, client, "o-top", metav1.DeletePropagationOrphan)
		goesAway(t, client, "o-top")
		fence(t, client, "o-fence")
		if found := stays(t, client, "o-below"); len(found.OwnerReferences) != 1 || found.OwnerReferences[0].UID != other.UID {
			t.Errorf("it is owned by %v, want the other one", found.OwnerReferences)
		}
	})

	t.Run("one owner of two is enough to stay", func(t *testing.T) {
		first, second := makeMap(t, client, "t-first"), makeMap(t, client, "t-second")
		makeMap(t, client, "t-below", ownedBy(first, false), ownedBy(second, false))
		deleteMap(t, client, "t-first", metav1.DeletePropagationBackground)
		eventually(t, func() error {
			if owners := stays(t, client, "t-below").OwnerReferences; len(owners) != 1 {
				return fmt.Errorf("it is owned by %v", owners)
			}
			return nil
		})
		deleteMap(t, client, "t-second", metav1.DeletePropagationBackground)
		goesAway(t, client, "t-below")
	})

	t.Run("an owner that never was, or is another now", func(t *testing.T) {
		makeMap(t, client, "n-owner")
		makeMap(t, client, "n-none", metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "nobody", UID: "11111111-2222-3333-4444-555555555555"})
		makeMap(t, client, "n-namesake", metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "n-owner", UID: "11111111-2222-3333-4444-555555555556"})
		goesAway(t, client, "n-none")
		goesAway(t, client, "n-namesake")
		stays(t, client, "n-owner")
	})

	t.Run("an owner of a kind that is not served keeps what it owns", func(t *testing.T) {
		makeMap(t, client, "u-below", metav1.OwnerReference{APIVersion: "example.com/v1", Kind: "Thing", Name: "x", UID: "11111111-2222-3333-4444-555555555557"})
		fence(t, client, "u-fence")
		stays(t, client, "u-below")
	})

	t.Run("an owner in another namespace is none, and that is said", func(t *testing.T) {
		owner, err := client.CoreV1().ConfigMaps("kube-system").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "far"}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		fence(t, client, "x-fence") // the collector has seen it
		below := makeMap(t, client, "x-below", ownedBy(owner, false))
		goesAway(t, client, "x-below")
		eventually(t, func() error {
			events, err := client.CoreV1().Events("default").List(t.Context(), metav1.ListOptions{FieldSelector: "reason=OwnerRefInvalidNamespace"})
			if err != nil {
				return err
			}
			want := fmt.Sprintf("ownerRef [v1/ConfigMap, namespace: default, name: far, uid: %s] does not exist in namespace %q", owner.UID, "default")
			for _, event := range events.Items {
				if event.InvolvedObject.UID == below.UID && event.Message == want && event.Type == corev1.EventTypeWarning {
					return nil
				}
			}
			return fmt.Errorf("no event says %q: %v", want, events.Items)
		})
	})

	t.Run("an owner across the whole cluster", func(t *testing.T) {
		node, err := client.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "owner"}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		makeMap(t, client, "c-below", metav1.OwnerReference{APIVersion: "v1", Kind: "Node", Name: "owner", UID: node.UID, Controller: ptr.To(true)})
		fence(t, client, "c-fence")
		stays(t, client, "c-below")
		if err := client.CoreV1().Nodes().Delete(t.Context(), "owner", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		goesAway(t, client, "c-below")
	})
}
