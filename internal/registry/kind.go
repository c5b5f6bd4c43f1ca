package registry

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
)

// Object is what every stored kind is: a runtime object with metadata.
type Object interface {
	runtime.Object
	metav1.Object
}

// Kind describes one resource that is stored and served. O is the pointer type
// of its only Go form (for example *corev1.Pod). Every hook may be nil.
type Kind[O Object] struct {
	// Version is the group and version under which the resource is served.
	Version schema.GroupVersion
	// OlderVersions show the same objects in another form, from the same
	// storages.
	OlderVersions []schema.GroupVersion
	// Resource is the plural name in lower case ("pods"), Singular its
	// singular ("pod").
	Resource, Singular string
	ShortNames         []string
	// Categories are the groups a resource belongs to; "all" makes it part
	// of `kubectl get all`.
	Categories []string
	// ClusterScoped is true for a resource that lives in no namespace.
	ClusterScoped bool

	New     func() O
	NewList func() runtime.Object

	// PrepareForCreate normalises a new object before validation: it clears
	// status and sets generation to 1 where the kind has one.
	PrepareForCreate func(ctx context.Context, obj O)
	// PrepareForUpdate does the same for a write to the main resource: it
	// keeps the old status and raises the generation if the spec changed.
	PrepareForUpdate func(ctx context.Context, obj, old O)
	// Validate and ValidateUpdate see defaulted objects and must not change
	// them. Metadata is validated by Build's strategy, with NameRule.
	Validate       func(ctx context.Context, obj O) field.ErrorList
	ValidateUpdate func(ctx context.Context, obj, old O) field.ErrorList
	// NameRule checks metadata.name; nil means a DNS subdomain (RFC 1123).
	NameRule func(name string, prefix bool) []string
	// Warnings are shown to the client beside a success; old is nil on create.
	Warnings func(ctx context.Context, obj, old O) []string
	// GracefulDelete sets options.GracePeriodSeconds and returns true if
	// the object is to be marked first and removed later (Pods only).
	GracefulDelete func(ctx context.Context, obj O, options *metav1.DeleteOptions) bool
	// AllowCreateOnUpdate lets a PUT create the object (Events, Leases …).
	AllowCreateOnUpdate bool
	// DefaultOrphan makes deletions orphan dependents unless told otherwise
	// (ReplicationController).
	DefaultOrphan bool

	// Status, if set, adds the /status subresource. The main resource then
	// resets "status" in server-side apply, the subresource resets "spec".
	Status *Status[O]

	// Fields are the selectable fields beyond metadata.name and
	// metadata.namespace, with the object's values for them.
	Fields func(obj O) fields.Set

	// Columns and Row print `kubectl get`. Row returns one cell for every
	// column; Columns with Priority 1 appear with `-o wide` only. Nil Columns
	// prints NAME and AGE.
	Columns []metav1.TableColumnDefinition
	Row     func(obj O) []any

	// Store changes the finished store, for what has no hook above
	// (BeginCreate, AfterDelete, TTLFunc …).
	Store func(*genericregistry.Store)
	// Wrap replaces the main storage by one that embeds it, for a kind whose
	// Create, Update or Delete is special; nil keeps it.
	Wrap func(*genericregistry.Store) rest.Storage
	// Subresources are further storages by name ("scale", "log", "binding").
	// status is nil if the kind has none.
	Subresources func(store, status *genericregistry.Store) map[string]rest.Storage
}

// Status describes the /status subresource of a kind.
type Status[O Object] struct {
	// PrepareForUpdate keeps everything of old but the new status. Build
	// keeps old's metadata except managedFields where it is nil.
	PrepareForUpdate func(ctx context.Context, obj, old O)
	ValidateUpdate   func(ctx context.Context, obj, old O) field.ErrorList
}
