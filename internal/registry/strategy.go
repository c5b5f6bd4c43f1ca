package registry

import (
	"context"

	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage/names"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// strategy is what the main resource and its status have in common.
type strategy[O Object] struct {
	runtime.ObjectTyper
	names.NameGenerator
	kind Kind[O]
}

func newStrategy[O Object](scheme *runtime.Scheme, kind Kind[O]) strategy[O] {
	if kind.NameRule == nil {
		kind.NameRule = validation.NameIsDNSSubdomain
	}
	return strategy[O]{ObjectTyper: scheme, NameGenerator: names.SimpleNameGenerator, kind: kind}
}

func (s strategy[O]) NamespaceScoped() bool                         { return !s.kind.ClusterScoped }
func (s strategy[O]) AllowUnconditionalUpdate(context.Context) bool { return true }
func (s strategy[O]) Canonicalize(runtime.Object)                   {}

// validateMeta checks the metadata of a new object.
func (s strategy[O]) validateMeta(obj O) field.ErrorList {
	return validation.ValidateObjectMetaAccessor(obj, s.NamespaceScoped(), validation.ValidateNameFunc(s.kind.NameRule), field.NewPath("metadata"))
}

func (s strategy[O]) validateMetaUpdate(obj, old O) field.ErrorList {
	errs := s.validateMeta(obj)
	return append(errs, validation.ValidateObjectMetaAccessorUpdate(obj, old, field.NewPath("metadata"))...)
}

// resets names a top-level field that writes through this path cannot change.
func (s strategy[O]) resets(fieldName string) map[fieldpath.APIVersion]*fieldpath.Set {
	sets := map[fieldpath.APIVersion]*fieldpath.Set{}
	for _, version := range append([]schema.GroupVersion{s.kind.Version}, s.kind.OlderVersions...) {
		sets[fieldpath.APIVersion(version.String())] = fieldpath.NewSet(fieldpath.MakePathOrDie(fieldName))
	}
	return sets
}

// mainStrategy is for create, update and delete of the resource itself.
type mainStrategy[O Object] struct{ strategy[O] }

func (s mainStrategy[O]) AllowCreateOnUpdate(context.Context) bool { return s.kind.AllowCreateOnUpdate }

func (s mainStrategy[O]) PrepareForCreate(ctx context.Context, obj runtime.Object) {
	if s.kind.PrepareForCreate != nil {
		s.kind.PrepareForCreate(ctx, obj.(O))
	}
}

func (s mainStrategy[O]) PrepareForUpdate(ctx context.Context, obj, old runtime.Object) {
	if s.kind.PrepareForUpdate != nil {
		s.kind.PrepareForUpdate(ctx, obj.(O), old.(O))
	}
}

func (s mainStrategy[O]) Validate(ctx context.Context, obj runtime.Object) field.ErrorList {
	errs := s.validateMeta(obj.(O))
	if s.kind.Validate != nil {
		errs = append(errs, s.kind.Validate(ctx, obj.(O))...)
	}
	return errs
}

func (s mainStrategy[O]) ValidateUpdate(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	errs := s.validateMetaUpdate(obj.(O), old.(O))
	if s.kind.ValidateUpdate != nil {
		errs = append(errs, s.kind.ValidateUpdate(ctx, obj.(O), old.(O))...)
	}
	return errs
}

func (s mainStrategy[O]) WarningsOnCreate(ctx context.Context, obj runtime.Object) []string {
	var none O
	return s.warnings(ctx, obj.(O), none)
}

func (s mainStrategy[O]) WarningsOnUpdate(ctx context.Context, obj, old runtime.Object) []string {
	return s.warnings(ctx, obj.(O), old.(O))
}

func (s mainStrategy[O]) warnings(ctx context.Context, obj, old O) []string {
	if s.kind.Warnings == nil {
		return nil
	}
	return s.kind.Warnings(ctx, obj, old)
}

func (s mainStrategy[O]) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	if s.kind.Status == nil {
		return nil
	}
	return s.resets("status")
}

// deleteStrategy adds graceful deletion and the orphaning default where the
// kind asks for them: the store looks for these methods, so they must be
// absent elsewhere.
func (s mainStrategy[O]) deleteStrategy() rest.RESTDeleteStrategy {
	switch {
	case s.kind.GracefulDelete != nil:
		return gracefulStrategy[O]{s}
	case s.kind.DefaultOrphan:
		return orphaningStrategy[O]{s}
	default:
		return s
	}
}

type gracefulStrategy[O Object] struct{ mainStrategy[O] }

func (s gracefulStrategy[O]) CheckGracefulDelete(ctx context.Context, obj runtime.Object, options *metav1.DeleteOptions) bool {
	return s.kind.GracefulDelete(ctx, obj.(O), options)
}

type orphaningStrategy[O Object] struct{ mainStrategy[O] }

func (orphaningStrategy[O]) DefaultGarbageCollectionPolicy(context.Context) rest.GarbageCollectionPolicy {
	return rest.OrphanDependents
}

// statusStrategy is for writes to /status.
type statusStrategy[O Object] struct{ strategy[O] }

func (s statusStrategy[O]) AllowCreateOnUpdate(context.Context) bool { return false }

func (s statusStrategy[O]) PrepareForUpdate(ctx context.Context, obj, old runtime.Object) {
	if s.kind.Status.PrepareForUpdate != nil {
		s.kind.Status.PrepareForUpdate(ctx, obj.(O), old.(O))
	}
}

func (s statusStrategy[O]) ValidateUpdate(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	errs := s.validateMetaUpdate(obj.(O), old.(O))
	if s.kind.Status.ValidateUpdate != nil {
		errs = append(errs, s.kind.Status.ValidateUpdate(ctx, obj.(O), old.(O))...)
	}
	return errs
}

func (s statusStrategy[O]) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string {
	return nil
}

func (s statusStrategy[O]) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return s.resets("spec")
}
