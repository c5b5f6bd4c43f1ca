package app

import (
	"context"
	"encoding/json"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"coxswain.dev/cox/internal/diagnose"
	"coxswain.dev/cox/internal/network"
)

// openFirewalls lets Pods through the other firewalls of this machine, and says
// so. One that cannot be opened is no reason not to start: containers on the
// host's network need none of it.
func (i *instance) openFirewalls() {
	found, err := network.OpenFirewalls(i.networkConfig())
	if err != nil {
		i.progress.Printf("warning: the other firewalls of this machine could not be looked at: %v", err)
	}
	for _, text := range found.Opened {
		i.progress.Printf("%-12s %8s  %s", "firewall", "", text)
	}
	for _, text := range found.Closed {
		i.progress.Printf("warning: %s", text)
	}
}

// startFirewalls keeps them open, and this machine's Node tells about them.
func (i *instance) startFirewalls(ctx context.Context, client kubernetes.Interface) {
	reports := make(chan network.Firewalls, 1)
	i.spawn(ctx, &i.workers, "the way through other firewalls", func(ctx context.Context) error {
		return network.KeepFirewallsOpen(ctx, i.networkConfig(), i.log.With("part", "firewall"), func(found network.Firewalls) {
			select {
			case <-reports: // nobody has read it yet, and it is old
			default:
			}
			reports <- found
		})
	})
	i.spawn(ctx, &i.workers, "the word about other firewalls", func(ctx context.Context) error {
		i.tellNode(ctx, client, reports)
		return nil
	})
}

// tellRetry is how long the Node is waited for that is not there yet.
const tellRetry = time.Second

// tellNode writes each report into the condition of this machine's Node.
func (i *instance) tellNode(ctx context.Context, client kubernetes.Interface, reports <-chan network.Firewalls) {
	var found *network.Firewalls
	for {
		var retry <-chan time.Time
		if found != nil {
			if err := i.writeCondition(ctx, client, *found); err != nil {
				retry = time.After(tellRetry)
			} else {
				found = nil
			}
		}
		select {
		case <-ctx.Done():
			return
		case report := <-reports:
			found = &report
		case <-retry:
		}
	}
}

func (i *instance) writeCondition(ctx context.Context, client kubernetes.Interface, found network.Firewalls) error {
	condition := diagnose.FirewallCondition(found.Opened, found.Closed, metav1.Now())
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"conditions": []any{condition}}})
	if err != nil {
		return err
	}
	_, err = client.CoreV1().Nodes().Patch(ctx, i.NodeName, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	return err
}
