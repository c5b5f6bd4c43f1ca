package images

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// store is a runtime that has and pulls images by name.
type store struct {
	mu        sync.Mutex
	has, pull map[string]string
	broken    error
	auths     []string
	pulls     int
}

func (s *store) ImageStatus(_ context.Context, image *runtimeapi.ImageSpec, _ bool) (*runtimeapi.ImageStatusResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	answer := &runtimeapi.ImageStatusResponse{}
	if id, known := s.has[image.Image]; known {
		answer.Image = &runtimeapi.Image{Id: id, Size: 42}
	}
	return answer, s.broken
}

func (s *store) PullImage(_ context.Context, image *runtimeapi.ImageSpec, auth *runtimeapi.AuthConfig, _ *runtimeapi.PodSandboxConfig) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pulls++
	s.auths = append(s.auths, auth.GetUsername()+":"+auth.GetPassword())
	id, known := s.pull[image.Image]
	if !known || auth != nil && auth.Password == "wrong" {
		return "", errors.New("not found")
	}
	s.has[image.Image], s.has[id] = id, id
	return id, nil
}

// secrets has Docker configurations by name.
type secrets map[string]string

func (s secrets) Secret(_ context.Context, _, name string) (*corev1.Secret, error) {
	content, known := s[name]
	if !known {
		return nil, apierrors.NewNotFound(corev1.Resource("secret"), name)
	}
	return &corev1.Secret{Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(content)}}, nil
}

var durations = regexp.MustCompile(`[0-9.]+m?s\b`)

// ensure tells the result and the events, a line each.
func ensure(t *testing.T, p *Puller, image string, policy corev1.PullPolicy, secretNames ...string) string {
	t.Helper()
	var lines []string
	pod := &corev1.Pod{}
	for _, name := range secretNames {
		pod.Spec.ImagePullSecrets = append(pod.Spec.ImagePullSecrets, corev1.LocalObjectReference{Name: name})
	}
	ref, err := p.Ensure(t.Context(), Request{Pod: pod, Container: &corev1.Container{Image: image, ImagePullPolicy: policy},
		Event: func(kind, reason, message string) { lines = append(lines, kind+" "+reason+": "+message) }})
	if err != nil {
		lines = append(lines, "-> "+err.Error())
	} else {
		lines = append(lines, "-> "+ref)
	}
	return durations.ReplaceAllString(strings.Join(lines, "\n"), "0s")
}

func TestEnsure(t *testing.T) {
	const pulled = "Normal Pulling: Pulling image \"new:1\"\nNormal Pulled: Successfully pulled image \"new:1\" in 0s (0s including waiting). Image size: 42 bytes.\n-> id-new"
	const present = "Normal Pulled: Container image \"old\" already present on machine and can be accessed by the pod\n-> id-old"
	for _, test := range []struct {
		name   string
		image  string
		policy corev1.PullPolicy
		broken error
		want   string
	}{
		{"present will do", "old", corev1.PullIfNotPresent, nil, present},
		{"present is what Never needs", "old", corev1.PullNever, nil, present},
		{"missing is pulled", "new:1", corev1.PullIfNotPresent, nil, pulled},
		{"Always pulls", "new:1", corev1.PullAlways, nil, pulled},
		{"Never does not pull", "new:1", corev1.PullNever, nil,
			"Warning ErrImageNeverPull: Container image \"new:1\" is not present with pull policy of Never\nWarning Failed: Error: ErrImageNeverPull\n" +
				"-> ErrImageNeverPull: Container image \"new:1\" is not present with pull policy of Never"},
		{"nobody has it", "none", corev1.PullIfNotPresent, nil,
			"Normal Pulling: Pulling image \"none\"\nWarning Failed: Failed to pull image \"none\": not found\nWarning Failed: Error: ErrImagePull\n-> ErrImagePull: not found"},
		{"no name of an image", "UPPER:::", corev1.PullIfNotPresent, nil,
			"Warning InspectFailed: Failed to apply default image tag \"UPPER:::\": couldn't parse image name \"UPPER:::\": invalid reference format: repository name (library/UPPER) must be lowercase\n" +
				"Warning Failed: Error: InvalidImageName\n" +
				"-> InvalidImageName: Failed to apply default image tag \"UPPER:::\": couldn't parse image name \"UPPER:::\": invalid reference format: repository name (library/UPPER) must be lowercase"},
		{"the runtime does not answer", "old", corev1.PullIfNotPresent, errors.New("no answer"),
			"Warning InspectFailed: Failed to inspect image \"old:latest\": no answer\nWarning Failed: Error: ImageInspectError\n-> ImageInspectError: Failed to inspect image \"old:latest\": no answer"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := New(&store{has: map[string]string{"old:latest": "id-old"}, pull: map[string]string{"new:1": "id-new"}, broken: test.broken}, secrets{})
			if got := ensure(t, p, test.image, test.policy); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func TestManyThatWantOneImagePullItOnce(t *testing.T) {
	s := &store{has: map[string]string{}, pull: map[string]string{"new:1": "id-new"}}
	p := New(s, secrets{})
	var group sync.WaitGroup
	for range 3 * maxPulls {
		group.Go(func() {
			if got := ensure(t, p, "new:1", corev1.PullIfNotPresent); !strings.HasSuffix(got, "-> id-new") {
				t.Error(got)
			}
		})
	}
	group.Wait()
	if s.pulls != 1 || len(p.pulling) != 0 {
		t.Errorf("%d pulls, %d left", s.pulls, len(p.pulling))
	}
}

func TestTheMostSpecificCredentialsComeFirst(t *testing.T) {
	s := &store{has: map[string]string{}, pull: map[string]string{"reg.example/team/app:1": "id"}}
	p := New(s, secrets{
		"wide":   `{"auths":{"*.other":{"username":"no","password":"match"},"https://reg.example/v1/":{"username":"w","password":"right"}}}`,
		"narrow": `{"auths":{"reg.example/team":{"auth":"bjp3cm9uZw=="},"reg.example/tea":{"username":"other","password":"x"}}}`, // n:wrong
	})
	got := ensure(t, p, "reg.example/team/app:1", corev1.PullAlways, "wide", "absent", "narrow")
	if !strings.Contains(got, "Warning FailedToRetrieveImagePullSecret: Unable to retrieve some image pull secrets (absent); attempting to pull the image may not succeed.") ||
		!strings.HasSuffix(got, "-> id") {
		t.Error(got)
	}
	if tried := strings.Join(s.auths, " "); tried != "n:wrong w:right" {
		t.Errorf("tried %s", tried)
	}
}

func TestFits(t *testing.T) {
	for _, test := range []struct {
		registry, image string
		fits            bool
	}{
		{"https://index.docker.io/v1/", "nginx", true}, {"docker.io", "me/app:1", true}, {"docker.io/me", "me/app", true}, {"docker.io/me", "meg/app", false},
		{"*.example.com", "a.example.com/x", true}, {"*.example.com", "example.com/x", false}, {"reg:5000", "reg:5000/x", true}, {"reg:5000", "reg:5001/x", false},
		{"http://reg:5000/", "reg:5000/x", true}, {"reg", "UPPER", false},
	} {
		if got := fits(test.registry, test.image) > 0; got != test.fits {
			t.Errorf("fits(%s, %s) = %v", test.registry, test.image, got)
		}
	}
}

func TestWithTag(t *testing.T) {
	const digest = "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	for image, want := range map[string]string{
		"nginx": "nginx:latest", "nginx:1": "nginx:1", "reg:5000/x": "reg:5000/x:latest", "x" + digest: "x" + digest, "x:1" + digest: "x:1" + digest,
	} {
		if got, err := withTag(image); err != nil || got != want {
			t.Errorf("withTag(%s) = %s, %v", image, got, err)
		}
	}
}
