package peers

import (
	"context"
	"encoding/json"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
)

// The pauses after a write that failed.
const (
	retryFirst = 50 * time.Millisecond
	retryLast  = 5 * time.Second
)

// followLimit bounds how long followers on this machine are waited for before
// what is in force is published: as long as a Pod waits for all of it.
const followLimit = 2 * time.Second

// Run publishes what is in force on this machine, while there are other
// machines to tell, until ctx ends.
func (p *Peers) Run(ctx context.Context) error {
	p.own.Start(ctx.Done())
	defer p.own.Shutdown()
	p.config.Informers.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), p.nodes.HasSynced, p.leases.HasSynced) {
		return nil
	}
	published, pause := "", retryFirst
	for {
		changed := p.change()
		revision, moved := p.config.InForce()
		var retry <-chan time.Time
		if revision != "" && revision != published && p.hasPeers() {
			if err := p.publish(ctx, revision); err == nil {
				published, pause = revision, retryFirst
			} else if ctx.Err() == nil {
				p.log.Warn("other machines were not told which Service rules are in force here, trying again", "error", err, "in", pause)
				retry, pause = time.After(pause), min(2*pause, retryLast)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-moved:
		case <-retry:
		}
	}
}

// hasPeers tells whether there is another Ready Node.
func (p *Peers) hasPeers() bool {
	for _, name := range p.nodes.GetStore().ListKeys() {
		if name != p.config.NodeName && p.isReady(name) {
			return true
		}
	}
	return false
}

func (p *Peers) publish(ctx context.Context, revision string) error {
	following, cancel := context.WithTimeout(ctx, followLimit)
	defer cancel()
	for _, follow := range p.config.Followers {
		if err := follow(following); err != nil {
			return err
		}
	}
	lease := p.lease(revision)
	leases := p.config.Client.CoordinationV1().Leases(lease.Namespace)
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": lease.Annotations, "labels": lease.Labels}})
	if err != nil {
		return err
	}
	_, err = leases.Patch(ctx, lease.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	if apierrors.IsNotFound(err) {
		_, err = leases.Create(ctx, lease, metav1.CreateOptions{})
	}
	return err
}

// lease is this machine's; it goes with the Node.
func (p *Peers) lease(revision string) *coordinationv1.Lease {
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: metav1.NamespaceSystem, Name: "coxswain-proxy-" + p.config.NodeName,
			Labels: map[string]string{proxyLabel: p.config.NodeName}, Annotations: map[string]string{RevisionAnnotation: revision},
		},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: &p.config.NodeName},
	}
	if item, exists, err := p.nodes.GetStore().GetByKey(p.config.NodeName); err == nil && exists {
		lease.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(item.(*corev1.Node), corev1.SchemeGroupVersion.WithKind("Node"))}
		lease.OwnerReferences[0].Controller, lease.OwnerReferences[0].BlockOwnerDeletion = nil, nil
	}
	return lease
}
