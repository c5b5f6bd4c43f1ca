package images

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/distribution/reference"
	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Runtime is the part of CRI that keeps images.
type Runtime interface {
	ImageStatus(ctx context.Context, image *runtimeapi.ImageSpec, verbose bool) (*runtimeapi.ImageStatusResponse, error)
	PullImage(ctx context.Context, image *runtimeapi.ImageSpec, auth *runtimeapi.AuthConfig, sandbox *runtimeapi.PodSandboxConfig) (string, error)
}

// Secrets are read by name.
type Secrets interface {
	Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error)
}

// maxPulls bounds how many images are pulled at a time: more only share the
// same line and disk.
const maxPulls = 4

// Puller gets images. It is safe for concurrent use.
type Puller struct {
	runtime Runtime
	secrets Secrets
	slots   chan struct{}

	mu sync.Mutex
	// pulling has a lock for each image that is being pulled: who comes second
	// finds it there.
	pulling map[string]*flight
}

type flight struct {
	lock  sync.Mutex
	users int
}

// New returns a Puller.
func New(runtime Runtime, secrets Secrets) *Puller {
	return &Puller{runtime: runtime, secrets: secrets, slots: make(chan struct{}, maxPulls), pulling: map[string]*flight{}}
}

// Request is one container's need of an image. Event is called with what is to
// be recorded.
type Request struct {
	Pod       *corev1.Pod
	Container *corev1.Container
	Event     func(kind, reason, message string)
}

// Error is a failure with its reason, as a waiting container shows both.
type Error struct{ Reason, Message string }

func (e *Error) Error() string { return e.Reason + ": " + e.Message }

// Ensure returns the reference by which the runtime knows the image. Its
// errors are of type *Error.
func (p *Puller) Ensure(ctx context.Context, r Request) (ref string, err error) {
	name, err := withTag(r.Container.Image)
	if err != nil {
		message := fmt.Sprintf("Failed to apply default image tag %q: couldn't parse image name %q: %v", r.Container.Image, r.Container.Image, err)
		r.Event(corev1.EventTypeWarning, "InspectFailed", message)
		return "", r.fail("InvalidImageName", message)
	}
	policy := r.Container.ImagePullPolicy
	if policy != corev1.PullAlways {
		ref, err := p.present(ctx, r, name)
		if err != nil || ref != "" {
			return ref, err
		}
		if policy == corev1.PullNever {
			message := fmt.Sprintf("Container image %q is not present with pull policy of Never", r.Container.Image)
			r.Event(corev1.EventTypeWarning, "ErrImageNeverPull", message)
			return "", r.fail("ErrImageNeverPull", message)
		}
	}
	return p.pull(ctx, r, name)
}

// fail records the error as the kubelet does when it starts a container.
func (r Request) fail(reason, message string) *Error {
	r.Event(corev1.EventTypeWarning, "Failed", "Error: "+reason)
	return &Error{reason, message}
}

func (p *Puller) present(ctx context.Context, r Request, name string) (string, error) {
	answer, err := p.runtime.ImageStatus(ctx, &runtimeapi.ImageSpec{Image: name}, false)
	if err != nil {
		message := fmt.Sprintf("Failed to inspect image %q: %v", name, err)
		r.Event(corev1.EventTypeWarning, "InspectFailed", message)
		return "", r.fail("ImageInspectError", message)
	}
	if answer.Image == nil {
		return "", nil
	}
	r.Event(corev1.EventTypeNormal, "Pulled", fmt.Sprintf("Container image %q already present on machine and can be accessed by the pod", r.Container.Image))
	return answer.Image.Id, nil
}

// pull gets the image from its registry. Of several that want the same one,
// each by IfNotPresent, the first pulls.
func (p *Puller) pull(ctx context.Context, r Request, name string) (string, error) {
	r.Event(corev1.EventTypeNormal, "Pulling", fmt.Sprintf("Pulling image %q", r.Container.Image))
	waiting := time.Now()
	release := p.enter(name)
	defer release()
	began := time.Now()
	ref, err := p.fetch(ctx, r, name)
	if err != nil {
		r.Event(corev1.EventTypeWarning, "Failed", fmt.Sprintf("Failed to pull image %q: %v", r.Container.Image, err))
		return "", r.fail("ErrImagePull", err.Error())
	}
	took, withWaiting := time.Since(began), time.Since(waiting)
	var size uint64
	if answer, err := p.runtime.ImageStatus(ctx, &runtimeapi.ImageSpec{Image: ref}, false); err == nil && answer.Image != nil {
		size = answer.Image.Size
		ref = answer.Image.Id
	}
	r.Event(corev1.EventTypeNormal, "Pulled", fmt.Sprintf("Successfully pulled image %q in %v (%v including waiting). Image size: %v bytes.",
		r.Container.Image, took.Truncate(time.Millisecond), withWaiting.Truncate(time.Millisecond), size))
	return ref, nil
}

// enter waits for other pulls of the image, and for a free slot.
func (p *Puller) enter(name string) (release func()) {
	p.mu.Lock()
	f := p.pulling[name]
	if f == nil {
		f = &flight{}
		p.pulling[name] = f
	}
	f.users++
	p.mu.Unlock()
	f.lock.Lock()
	p.slots <- struct{}{}
	return func() {
		<-p.slots
		f.lock.Unlock()
		p.mu.Lock()
		defer p.mu.Unlock()
		if f.users--; f.users == 0 {
			delete(p.pulling, name)
		}
	}
}

// fetch tries the credentials that fit, or none if there are none. With
// IfNotPresent, an image that came while waiting will do.
func (p *Puller) fetch(ctx context.Context, r Request, name string) (string, error) {
	spec := &runtimeapi.ImageSpec{Image: name}
	if r.Container.ImagePullPolicy != corev1.PullAlways {
		if answer, err := p.runtime.ImageStatus(ctx, spec, false); err == nil && answer.Image != nil {
			return answer.Image.Id, nil
		}
	}
	credentials := p.credentials(ctx, r, name)
	if len(credentials) == 0 {
		return p.runtime.PullImage(ctx, spec, nil, nil)
	}
	var ref string
	var err error
	for _, auth := range credentials {
		if ref, err = p.runtime.PullImage(ctx, spec, auth, nil); err == nil {
			return ref, nil
		}
	}
	return "", err
}

// withTag adds :latest where neither tag nor digest is given.
func withTag(image string) (string, error) {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return "", err
	}
	if _, digested := named.(reference.Digested); !digested && reference.IsNameOnly(named) && !strings.Contains(image, "@") {
		return image + ":latest", nil
	}
	return image, nil
}
