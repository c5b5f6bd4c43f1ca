package app

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"coxswain.dev/cox/internal/apiserver"
	"coxswain.dev/cox/internal/cri"
	"coxswain.dev/cox/internal/etcd"
	"coxswain.dev/cox/internal/network"
)

// instance is everything of one running cox.
type instance struct {
	parsed
	progress *Progress
	log      *slog.Logger
	// fail ends the instance because a part of it cannot go on.
	fail func(part string, err error)

	store  *etcd.Server
	api    *apiserver.Server
	engine *cri.Engine
	// nodes leads the API server to the agent, once there is one.
	nodes nodeHandlers

	workers    part
	apiRunning part
}

// part is a set of goroutines that are stopped together.
type part struct {
	cancel context.CancelFunc
	group  sync.WaitGroup
}

// begin makes the context of the part. Its end is only stop: a part outlives
// the instance's context for as long as others need it to stop in order.
func (p *part) begin(ctx context.Context) context.Context {
	ctx, p.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return ctx
}

func (p *part) stop() {
	if p.cancel != nil {
		p.cancel()
		p.group.Wait()
	}
}

// spawn runs a long-running function in a part. If it returns an error before
// the part is stopped, the instance ends.
func (i *instance) spawn(ctx context.Context, p *part, name string, run func(context.Context) error) {
	p.group.Go(func() {
		if err := run(ctx); err != nil && ctx.Err() == nil {
			i.fail(name, err)
		}
	})
}

// stop ends what has been started, in reverse order: first those who write,
// then the API, then the store.
func (i *instance) stop() {
	i.workers.stop()
	i.apiRunning.stop()
	if i.store != nil {
		i.store.Close()
	}
	if i.engine != nil {
		i.engine.Close()
	}
}

func (i *instance) startNetwork() error {
	done := i.progress.Step("network")
	err := network.Setup(i.networkConfig())
	if err != nil {
		return err
	}
	done(fmt.Sprintf("Pods %s, Services %s", i.pods, i.services))
	i.openFirewalls()
	return nil
}

func (i *instance) startStore(ctx context.Context) (err error) {
	done := i.progress.Step("store")
	i.store, err = etcd.Start(ctx, etcd.Config{
		DataDir: filepath.Join(i.DataDir, "etcd"),
		Socket:  filepath.Join(i.RunDir, "etcd.sock"),
		Logger:  i.log.With("part", "etcd"),
	})
	if err != nil {
		return fmt.Errorf("starting the store: %w", err)
	}
	done("etcd in " + filepath.Join(i.DataDir, "etcd"))
	return nil
}

// startAPI starts the API server for the time of the instance, and returns
// when it serves or starting has ended.
func (i *instance) startAPI(ctx, starting context.Context) (err error) {
	done := i.progress.Step("api")
	i.api, err = apiserver.New(apiserver.Config{
		DataDir:      i.DataDir,
		Listen:       []string{i.Listen},
		PodGateway:   i.gateway,
		PodCIDR:      i.pods,
		ServiceCIDR:  i.services,
		EtcdEndpoint: i.store.Endpoint(),
		Nodes:        &i.nodes,
		Logger:       i.log.With("part", "api"),
	})
	if err != nil {
		return fmt.Errorf("starting the API: %w", err)
	}
	i.spawn(i.apiRunning.begin(ctx), &i.apiRunning, "the API", i.api.Run)
	select {
	case <-i.api.Ready():
	case <-starting.Done():
		return starting.Err()
	}
	admin, err := i.api.AdminKubeconfig("https://" + i.Listen)
	if err != nil {
		return err
	}
	if err := writeKubeconfig(i.Kubeconfig, admin); err != nil {
		return err
	}
	done("https://" + i.Listen)
	if i.MergeKubeconfig && i.Kubeconfig == DefaultKubeconfig {
		if path, err := mergeKubeconfig(admin); err != nil {
			i.progress.Printf("warning: the context %q was not added to your kubeconfig: %v", contextName, err)
		} else {
			i.progress.Printf("%-12s %8s  context %q in %s", "kubeconfig", "", contextName, path)
		}
	}
	return nil
}

func (i *instance) startEngine(ctx context.Context) (err error) {
	done := i.progress.Step("engine")
	i.engine, err = i.connectEngine(ctx)
	if err != nil {
		return err
	}
	done(i.engine.Endpoint())
	return nil
}

// connectEngine starts our containerd, finds it running, or connects to the
// runtime that was named by --container-runtime-endpoint.
func (i *parsed) connectEngine(ctx context.Context) (*cri.Engine, error) {
	return cri.Start(ctx, i.engineConfig())
}

// engineDeadline bounds how long the engine may take to answer.
const engineDeadline = 60 * time.Second

// client is an in-process client with the rights of one of our own parts.
func (i *instance) client(user string, groups ...string) *rest.Config {
	return i.api.ClientConfig(user, groups...)
}

func (i *instance) clientset(user string, groups ...string) (*kubernetes.Clientset, error) {
	return kubernetes.NewForConfig(i.client(user, groups...))
}
