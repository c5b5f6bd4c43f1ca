package reconcile

import (
	"context"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// unanswered are writes of which nobody can say whether they happened: the
// connection broke. Until that is known nothing more is decided for their key:
// the cache may show the state before them, and would be acted on twice.
type unanswered struct {
	mu sync.Mutex
	of map[Key][]unknownWrite
}

// unknownWrite is one of them.
type unknownWrite struct {
	name string
	// uid is what was to be deleted; empty if something was to be written.
	uid types.UID
}

// note remembers a write.
func (u *unanswered) note(k Key, write unknownWrite) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.of == nil {
		u.of = map[Key][]unknownWrite{}
	}
	u.of[k] = append(u.of[k], write)
}

// resolve reads what the writes of a key were about, past the cache, and has
// own wait until store shows that state, or a later one.
func (u *unanswered) resolve(ctx context.Context, k Key, own *OwnWrites, store Store, get func(ctx context.Context, name string) (metav1.Object, error)) error {
	u.mu.Lock()
	writes := u.of[k]
	u.mu.Unlock()
	if len(writes) == 0 {
		return nil
	}
	for i, write := range writes {
		found, err := get(ctx, write.name)
		switch {
		case err == nil:
			own.Wrote(k, store, found)
		case apierrors.IsNotFound(err) && write.uid != "":
			own.Deleted(k, store, Key{Namespace: k.Namespace, Name: write.name}, write.uid)
		case !apierrors.IsNotFound(err):
			u.keep(k, writes[i:])
			return fmt.Errorf("%s: finding out what became of a write to %s: %w", k, write.name, err)
		}
	}
	u.keep(k, nil)
	return nil
}

func (u *unanswered) keep(k Key, left []unknownWrite) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(left) == 0 {
		delete(u.of, k)
		return
	}
	u.of[k] = left
}

// unknownOutcome tells whether the write may have happened all the same. An
// error without a reason is not the API server's answer.
func unknownOutcome(err error) bool {
	switch apierrors.ReasonForError(err) {
	case metav1.StatusReasonUnknown, metav1.StatusReasonTimeout, metav1.StatusReasonServerTimeout,
		metav1.StatusReasonInternalError, metav1.StatusReasonAlreadyExists:
		return true
	default:
		return false
	}
}
