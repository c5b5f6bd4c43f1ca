package rollout

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Action is one change. The set is closed: the types of this file.
type Action interface {
	// Why is the cause, in a few words.
	Why() string
	isAction()
}

// Ref names a ReplicaSet and the state it was seen in: the preconditions of a
// write to it.
type Ref struct {
	Name            string
	UID             types.UID
	ResourceVersion string
}

func refOf(rs *appsv1.ReplicaSet) Ref { return Ref{rs.Name, rs.UID, rs.ResourceVersion} }

// Adopt makes the Deployment the controller of a ReplicaSet that has none.
type Adopt struct {
	Ref
	Cause string
}

// Release gives up a ReplicaSet whose labels do not match any more.
type Release struct {
	Ref
	Cause string
}

// Create makes the ReplicaSet of a new template, which it shares with the
// Deployment of the snapshot: it is not to be changed.
type Create struct {
	ReplicaSet *appsv1.ReplicaSet
	Event      *Event
	Cause      string
}

// Update changes a ReplicaSet: its size, its annotations, or both.
type Update struct {
	Ref
	// From and To are spec.replicas before and after; equal if the size stays.
	From, To int32
	// Annotations are to be set to these values.
	Annotations map[string]string
	// MinReadySeconds is the Deployment's.
	MinReadySeconds int32
	// Event is nil if the size stays.
	Event *Event
	Cause string
}

// Delete forgets an old ReplicaSet without Pods.
type Delete struct {
	Ref
	Cause string
}

// Annotate sets the Deployment's revision.
type Annotate struct {
	Annotations map[string]string
	Cause       string
}

// RollBack answers a request for a rollback: it takes the request away, and
// gives the Deployment the template that was asked for.
type RollBack struct {
	// Template is nil if there is none, or none but what the Deployment has.
	Template *corev1.PodTemplateSpec
	// Annotations are all that the Deployment is to have.
	Annotations map[string]string
	Event       *Event
	Cause       string
}

func (a Adopt) Why() string    { return a.Cause }
func (a Release) Why() string  { return a.Cause }
func (a Create) Why() string   { return a.Cause }
func (a Update) Why() string   { return a.Cause }
func (a Delete) Why() string   { return a.Cause }
func (a Annotate) Why() string { return a.Cause }
func (a RollBack) Why() string { return a.Cause }

func (Adopt) isAction()    {}
func (Release) isAction()  {}
func (Create) isAction()   {}
func (Update) isAction()   {}
func (Delete) isAction()   {}
func (Annotate) isAction() {}
func (RollBack) isAction() {}
