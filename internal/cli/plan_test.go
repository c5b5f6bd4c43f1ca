package cli_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"coxswain.dev/cox/internal/plan"
)

const web = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: "web:v1", resources: {requests: {cpu: 500m}}, env: [{name: MODE, value: test}]}
`

// planFile plans a manifest from standard input.
func (c *cluster) planFile(g *golden, what, manifest string, args ...string) {
	c.t.Helper()
	args = append([]string{"plan", "-f", "-"}, args...)
	g.add(fmt.Sprintf("cox %s  # %s", strings.Join(args, " "), what), c.run(strings.NewReader(manifest), args...))
}

func (c *cluster) planImage(g *golden, args ...string) {
	c.t.Helper()
	args = append([]string{"plan"}, args...)
	g.add("cox "+strings.Join(args, " "), c.run(strings.NewReader(""), args...))
}

func TestPlan(t *testing.T) {
	c := newCluster(t)
	g := newGolden(t, "plan")
	c.planFile(g, "a new Deployment", web)
	c.planFile(g, "with what is in the same file", web+`
---
apiVersion: v1
kind: Service
metadata: {name: web}
`)
	c.make(web)
	before := c.everything()
	c.planFile(g, "the same again", web)
	c.planImage(g, "deploy/web", "--image", "web=web:v2", "--ready-after", "10s")
	c.planImage(g, "deployment", "web", "--image", "*=web:v2", "-o", "json")
	c.planFile(g, "an environment and limits", strings.NewReplacer("value: test", "value: live", "cpu: 500m", "cpu: 250m", "replicas: 3", "replicas: 4").Replace(web))
	c.planFile(g, "another selector", strings.ReplaceAll(web, "app: web", "app: www"))
	c.planFile(g, "a misspelt field", strings.Replace(web, "maxUnavailable", "maxUnavaliable", 1))
	c.planFile(g, "neither surge nor unavailable", strings.Replace(web, "maxSurge: 1", "maxSurge: 0", 1))
	c.planFile(g, "another namespace", strings.Replace(web, "{name: web}", "{name: web, namespace: nowhere}", 1))
	c.planFile(g, "more than the node has", strings.Replace(web, "cpu: 500m", "cpu: 600m", 1))
	c.planFile(g, "no such objects", strings.Replace(web, "env: [{name: MODE, value: test}]",
		"envFrom: [{configMapRef: {name: settings}}], env: [{name: KEY, valueFrom: {secretKeyRef: {name: keys, key: a}}}]", 1))
	c.planFile(g, "no such service account", strings.Replace(web, "    spec:", "    spec:\n      serviceAccountName: robot", 1))
	c.planFile(g, "a version that there never was", strings.Replace(web, "apps/v1", "apps/v3", 1))
	if after := c.everything(); after != before {
		t.Errorf("planning has changed something. Before:\n%s\nAfter:\n%s", before, after)
	}
	g.compare()
}

func TestPlanSaysWhatLimitsIt(t *testing.T) {
	c := newCluster(t)
	g := newGolden(t, "plan-limits")
	c.make(web)
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "small"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"pods": resource.MustParse("3")}}}
	if _, err := c.CoreV1().ResourceQuotas("default").Create(t.Context(), quota, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.eventually("the quota is counted", func() (bool, error) {
		q, err := c.CoreV1().ResourceQuotas("default").Get(t.Context(), "small", metav1.GetOptions{})
		return err == nil && q.Status.Used.Name("pods", resource.DecimalSI).Value() == 3, err
	})
	c.planImage(g, "deploy/web", "--image", "web=web:v2")
	if err := c.CoreV1().ResourceQuotas("default").Delete(t.Context(), "small", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	limits := &corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Name: "modest"}, Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{
		{Type: corev1.LimitTypeContainer, Max: corev1.ResourceList{"cpu": resource.MustParse("400m")}}}}}
	if _, err := c.CoreV1().LimitRanges("default").Create(t.Context(), limits, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.eventually("the limit range is enforced", func() (bool, error) {
		return strings.Contains(c.run(strings.NewReader(""), "plan", "deploy/web", "--image", "web=web:v2"), "LimitRange"), nil
	})
	c.planImage(g, "deploy/web", "--image", "web=web:v2")
	c.planFile(g, "with a limit of its own", strings.Replace(web, "requests: {cpu: 500m}", "requests: {cpu: 100m}, limits: {cpu: 500m}", 1))
	g.compare()
}

// TestPlanForeseesWhatHappens: the steps of a plan are those of the real
// controllers, as the Deployment's events tell them.
func TestPlanForeseesWhatHappens(t *testing.T) {
	c := newCluster(t)
	c.make(web)
	const created = "web-6746564cbf from 0 to 3"
	scaled := regexp.MustCompile(`^Scaled (?:up|down) replica set (.*)$`)
	var p plan.Plan
	text := c.run(strings.NewReader(""), "plan", "deploy/web", "--image", "web=web:v2", "-o", "json")
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	var foreseen []string
	for _, wave := range p.Waves {
		for _, step := range wave.Steps {
			foreseen = append(foreseen, fmt.Sprintf("%s from %d to %d", step.ReplicaSet, step.From, step.To))
		}
	}
	c.change("web", func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = "web:v2" })
	c.rolledOut("web")
	c.eventually("what happened is what was foreseen", func() (bool, error) {
		events, err := c.CoreV1().Events("default").List(t.Context(), metav1.ListOptions{FieldSelector: "reason=ScalingReplicaSet"})
		if err != nil {
			return false, err
		}
		var happened []string
		for _, event := range events.Items {
			if match := scaled.FindStringSubmatch(event.Message); match != nil && match[1] != created {
				happened = append(happened, match[1])
			}
		}
		for _, step := range happened {
			if !slices.Contains(foreseen, step) {
				t.Fatalf("%q happened, and was not foreseen in\n%s", step, p)
			}
		}
		return len(happened) == len(foreseen), nil
	})
}

// everything is the versions of all that a plan looks at.
func (c *cluster) everything() string {
	c.t.Helper()
	var all []string
	note := func(m metav1.ObjectMeta) { all = append(all, m.Name+" "+m.ResourceVersion) }
	ctx, options := c.t.Context(), metav1.ListOptions{}
	deployments, err := c.AppsV1().Deployments("").List(ctx, options)
	if err != nil {
		c.t.Fatal(err)
	}
	sets, err := c.AppsV1().ReplicaSets("").List(ctx, options)
	if err != nil {
		c.t.Fatal(err)
	}
	pods, err := c.CoreV1().Pods("").List(ctx, options)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, d := range deployments.Items {
		note(d.ObjectMeta)
	}
	for _, rs := range sets.Items {
		note(rs.ObjectMeta)
	}
	for _, p := range pods.Items {
		note(p.ObjectMeta)
	}
	return strings.Join(all, "\n")
}
