package apiserver

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"coxswain.dev/cox/internal/apiserver/rbac"
)

// namespaces exist in every installation.
var namespaces = []string{metav1.NamespaceDefault, metav1.NamespaceSystem, metav1.NamespacePublic, corev1.NamespaceNodeLease}

// bootstrap creates what every installation starts with, and waits until the
// server's own view of roles and namespaces is complete.
func (s *Server) bootstrap(ctx context.Context) error {
	if err := s.awaitStorages(ctx); err != nil {
		return err
	}
	// Before the first write: admission, finding that it does not know the
	// namespaces yet, would look again only after 100 ms.
	s.informers.Start(ctx.Done())
	for kind, synced := range s.informers.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return fmt.Errorf("reading all %s: %w", kind, context.Cause(ctx))
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return rbac.Bootstrap(ctx, s.client.RbacV1()) })
	group.Go(func() error {
		if err := s.ensureNamespaces(ctx); err != nil {
			return err
		}
		// Admission waits 50 ms for a namespace that it does not know yet.
		if err := s.awaitNamespace(ctx, metav1.NamespaceDefault); err != nil {
			return err
		}
		return s.ensureService(ctx)
	})
	return group.Wait()
}

// awaitStorages waits until every watch cache is filled. A request before that
// would be put off for a second.
func (s *Server) awaitStorages(ctx context.Context) error {
	for _, storage := range s.storages {
		if err := await(ctx, func() bool { return storage.ReadinessCheck() == nil }); err != nil {
			return fmt.Errorf("reading the store: %w", err)
		}
	}
	return nil
}

// awaitNamespace waits until the server's own view has a namespace.
func (s *Server) awaitNamespace(ctx context.Context, name string) error {
	known := s.informers.Core().V1().Namespaces().Lister()
	err := await(ctx, func() bool {
		_, err := known.Get(name)
		return err == nil
	})
	if err != nil {
		return fmt.Errorf("waiting for the namespace %q: %w", name, err)
	}
	return nil
}

// startPoll is how often a start looks for what tells nobody that it is there.
const startPoll = 2 * time.Millisecond

// await returns when there holds, or with the reason why ctx has ended.
func await(ctx context.Context, there func() bool) error {
	ticker := time.NewTicker(startPoll)
	defer ticker.Stop()
	for !there() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (s *Server) ensureNamespaces(ctx context.Context) error {
	existing, err := s.client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("reading the namespaces: %w", err)
	}
	known := map[string]bool{}
	for _, namespace := range existing.Items {
		known[namespace.Name] = true
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, name := range namespaces {
		if known[name] {
			continue
		}
		group.Go(func() error {
			namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
			_, err := s.client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{})
			if err != nil && !errors.IsAlreadyExists(err) {
				return fmt.Errorf("creating the namespace %q: %w", name, err)
			}
			return nil
		})
	}
	return group.Wait()
}
