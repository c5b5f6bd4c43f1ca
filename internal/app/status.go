package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// statusDeadline bounds the questions that `cox status` asks.
const statusDeadline = 5 * time.Second

// Status prints whether cox runs and how it is. It returns an error if it
// does not run, or is not ready.
func Status(ctx context.Context, config Config, out io.Writer) error {
	settings, err := config.parseShared()
	if err != nil {
		return err
	}
	pid, err := runningPID(settings.DataDir)
	if err != nil {
		return err
	}
	if pid == 0 {
		return fmt.Errorf("cox is not running on %s: `cox up` starts it", settings.DataDir)
	}
	fmt.Fprintf(out, "%-12s running, pid %d, data in %s\n", "cox", pid, settings.DataDir)
	fmt.Fprintf(out, "%-12s %s\n", "kubeconfig", settings.Kubeconfig)
	ctx, cancel := context.WithTimeout(ctx, statusDeadline)
	defer cancel()
	return settings.printCluster(ctx, out)
}

func (p parsed) printCluster(ctx context.Context, out io.Writer) error {
	rest, err := clientcmd.BuildConfigFromFlags("", p.Kubeconfig)
	if err != nil {
		return fmt.Errorf("--kubeconfig %s: %w", p.Kubeconfig, err)
	}
	client, err := kubernetes.NewForConfig(rest)
	if err != nil {
		return err
	}
	version, err := client.Discovery().ServerVersion()
	if err != nil {
		return fmt.Errorf("the API at %s does not answer: %w", rest.Host, err)
	}
	fmt.Fprintf(out, "%-12s %s, Kubernetes %s\n", "api", rest.Host, version.GitVersion)
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	pods, err := client.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	var unready []error
	for _, node := range nodes.Items {
		state := "Ready"
		if !isReady(&node) {
			state = "NotReady"
			unready = append(unready, fmt.Errorf("node %s is not ready: kubectl describe node %s", node.Name, node.Name))
		}
		fmt.Fprintf(out, "%-12s %s, %s, %s\n", "node", node.Name, state, node.Status.NodeInfo.ContainerRuntimeVersion)
	}
	if len(nodes.Items) == 0 {
		unready = append(unready, errors.New("no node has been registered yet"))
	}
	fmt.Fprintf(out, "%-12s %s\n", "pods", countPods(pods.Items))
	return errors.Join(unready...)
}

func isReady(node *corev1.Node) bool {
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

func countPods(pods []corev1.Pod) string {
	ready := 0
	for _, pod := range pods {
		for _, condition := range pod.Status.Conditions {
			if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue {
				ready++
			}
		}
	}
	return fmt.Sprintf("%d, %d of them ready", len(pods), ready)
}
