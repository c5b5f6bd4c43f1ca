package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"coxswain.dev/cox/internal/agent/objects"
	"coxswain.dev/cox/internal/agent/volumes"
)

// source is where volumes get their content.
type source struct {
	*objects.Cache
	client kubernetes.Interface
}

// tokenShare is the part of a token's life after which it is renewed, and
// tokenAge the age at which it is in any case.
const (
	tokenShare = 0.8
	tokenAge   = 24 * time.Hour
)

// Token implements volumes.Source.
func (s source) Token(ctx context.Context, pod *corev1.Pod, projection *corev1.ServiceAccountTokenProjection) (string, time.Time, error) {
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: projection.ExpirationSeconds,
		BoundObjectRef:    &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID},
	}}
	if projection.Audience != "" {
		request.Spec.Audiences = []string{projection.Audience}
	}
	asked := time.Now()
	answer, err := s.client.CoreV1().ServiceAccounts(pod.Namespace).CreateToken(ctx, pod.Spec.ServiceAccountName, request, metav1.CreateOptions{})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("failed to fetch token: %w", err)
	}
	life := time.Duration(float64(answer.Status.ExpirationTimestamp.Sub(asked)) * tokenShare)
	return answer.Status.Token, asked.Add(min(life, tokenAge)), nil
}

// prepareVolumes makes the Pod's cgroup and everything it mounts.
func (w *worker) prepareVolumes(ctx context.Context, pod *corev1.Pod) error {
	refresh, err := w.agent.volumes.Prepare(ctx, pod)
	var failed *volumes.Error
	if errors.As(err, &failed) && ctx.Err() == nil {
		w.agent.event(pod, "", corev1.EventTypeWarning, "FailedMount", err.Error())
	}
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refresh = refresh
	return nil
}

// refreshKey names the renewal among the actions that are under way.
const refreshKey = "refresh"

// refreshRetry is the pause after volumes could not be brought up to date.
const refreshRetry = 30 * time.Second

// refreshVolumes brings mounted volumes up to date when it is time. It returns
// when that is, zero for never. The caller holds the lock.
func (w *worker) refreshVolumes(group *sync.WaitGroup) time.Time {
	if w.refresh.IsZero() || !w.volumesReady || w.gone || w.underway[refreshKey] != nil {
		return time.Time{}
	}
	if time.Now().Before(w.refresh) {
		return w.refresh
	}
	w.refresh = time.Time{}
	ctx, cancel := context.WithCancel(w.ctx)
	w.underway[refreshKey] = cancel
	pod := podWith(w.pod, *w.status)
	group.Go(func() {
		defer cancel()
		next, err := w.agent.volumes.Prepare(ctx, pod)
		if err != nil {
			w.log.Info("volumes were not brought up to date, trying again later", "error", err)
			next = time.Now().Add(refreshRetry)
		}
		w.mu.Lock()
		delete(w.underway, refreshKey)
		if w.refresh = earliest(w.refresh, next); w.tornDown {
			w.refresh = time.Time{}
		}
		w.mu.Unlock()
		w.nudge()
	})
	return time.Time{}
}
