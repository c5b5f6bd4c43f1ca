package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/yaml"

	"coxswain.dev/cox/internal/apiserver/apitest"
	"coxswain.dev/cox/internal/cli"
	"coxswain.dev/cox/internal/controllers"
)

// cluster is a real API with the real controllers and one node, on which Pods
// become ready and go as soon as they are told.
type cluster struct {
	kubernetes.Interface
	t          *testing.T
	kubeconfig string
}

func newCluster(t *testing.T, opts ...apitest.Option) *cluster {
	t.Helper()
	server := apitest.Start(t, opts...)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- controllers.Run(ctx, controllers.Config{Client: server.Admin(), ClusterCA: server.CA()})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the controllers ended with: %v", err)
		}
	})
	c := &cluster{server.Client(t), t, server.Kubeconfig(t)}
	c.addNode(ctx)
	c.eventually("the default service account", func() (bool, error) {
		_, err := c.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		return err == nil, nil
	})
	return c
}

// addNode makes a node with 2 CPUs, and does its work.
func (c *cluster) addNode(ctx context.Context) {
	c.t.Helper()
	room := corev1.ResourceList{"cpu": resource.MustParse("2"), "memory": resource.MustParse("4Gi"), "pods": resource.MustParse("110")}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "boat"}, Status: corev1.NodeStatus{Allocatable: room, Capacity: room,
		Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}}}
	if _, err := c.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
		c.t.Fatal(err)
	}
	factory := informers.NewSharedInformerFactory(c, 0)
	_, err := factory.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { c.tend(ctx, obj.(*corev1.Pod)) },
		UpdateFunc: func(_, obj any) { c.tend(ctx, obj.(*corev1.Pod)) },
	})
	if err != nil {
		c.t.Fatal(err)
	}
	factory.Start(ctx.Done())
	c.t.Cleanup(factory.Shutdown)
}

// tend does what a node does for a Pod. What fails is seen again.
func (c *cluster) tend(ctx context.Context, pod *corev1.Pod) {
	switch {
	case pod.Spec.NodeName == "":
	case pod.DeletionTimestamp != nil:
		none := int64(0)
		_ = c.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &none})
	case pod.Status.Phase == corev1.PodPending && !strings.HasPrefix(pod.Spec.Containers[0].Image, "broken"):
		pod = pod.DeepCopy()
		pod.Status.Phase = corev1.PodRunning
		pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()})
		_, _ = c.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{})
	}
}

func (c *cluster) eventually(what string, is func() (bool, error)) {
	c.t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		ok, err := is()
		if err != nil {
			c.t.Fatalf("%s: %v", what, err)
		}
		if ok {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("%s: not within a minute", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// make creates a Deployment and waits until it is rolled out.
func (c *cluster) make(manifest string) {
	c.t.Helper()
	var d appsv1.Deployment
	if err := yaml.UnmarshalStrict([]byte(manifest), &d); err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.AppsV1().Deployments("default").Create(c.t.Context(), &d, metav1.CreateOptions{}); err != nil {
		c.t.Fatal(err)
	}
	c.rolledOut(d.Name)
}

// change changes a Deployment by hand.
func (c *cluster) change(name string, change func(*appsv1.Deployment)) {
	c.t.Helper()
	c.eventually("changing "+name, func() (bool, error) {
		d, err := c.AppsV1().Deployments("default").Get(c.t.Context(), name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		change(d)
		_, err = c.AppsV1().Deployments("default").Update(c.t.Context(), d, metav1.UpdateOptions{})
		return err == nil, nil // a conflict is tried again
	})
}

func (c *cluster) rolledOut(name string) {
	c.t.Helper()
	c.eventually(name+" rolled out", func() (bool, error) {
		d, err := c.AppsV1().Deployments("default").Get(c.t.Context(), name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		s, wanted := d.Status, *d.Spec.Replicas
		return s.ObservedGeneration >= d.Generation && s.UpdatedReplicas == wanted && s.Replicas == wanted && s.AvailableReplicas == wanted, nil
	})
}

// run is what a command prints, with its error and exit code.
func (c *cluster) run(stdin io.Reader, args ...string) string {
	out, err := runCommand(stdin, append(args, "--kubeconfig", c.kubeconfig)...)
	code, toPrint := cli.ExitCode(err)
	if toPrint {
		out += fmt.Sprintf("error: %v\n", err)
	}
	if code != 0 {
		out += fmt.Sprintf("exit %d\n", code)
	}
	return out
}

func runCommand(stdin io.Reader, args ...string) (string, error) {
	root := &cobra.Command{Use: "cox", SilenceUsage: true, SilenceErrors: true}
	root.AddCommand(cli.PlanCommand(), cli.SimulateCommand(), cli.RolloutCommand(), cli.NetCommand())
	var out bytes.Buffer
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(&out)
	root.SetErr(&out)
	err := root.ExecuteContext(context.Background())
	if errors.Is(err, context.Canceled) {
		return "", err
	}
	return out.String(), err
}
