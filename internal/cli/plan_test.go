package cli_test

import (
	"cmp"
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
	c.planImage(g, "-f", "testdata/folder")
	c.planFile(g, "with its namespace in the same file", strings.Replace(web, "{name: web}", "{name: web, namespace: fresh}", 1)+`
---
apiVersion: v1
kind: Namespace
metadata: {name: fresh}
`)
	c.planFile(g, "two in one file", web+"\n---\n"+strings.ReplaceAll(web, "web}", "www}"))
	c.make(web)
	before := c.everything()
	c.planFile(g, "the same again", web)
	c.planImage(g, "deploy/web", "--image", "web=web:v2", "--ready-after", "10s")
	c.planImage(g, "deployment", "web", "--image", "*=web:v2", "-o", "json")
	c.planFile(g, "an environment and limits", strings.NewReplacer("value: test", "value: live", "cpu: 500m", "cpu: 250m", "replicas: 3", "replicas: 4").Replace(web))
	c.planFile(g, "another selector", strings.ReplaceAll(web, "app: web", "app: www"))
	c.planFile(g, "a version that is gone", strings.Replace(web, "{name: web}", "{name: web, resourceVersion: \"1\"}", 1))
	c.planFile(g, "the same Deployment twice", web+"\n---\n"+web)
	c.planFile(g, "a negative number", strings.Replace(web, "replicas: 3", "replicas: -1", 1), "-o", "json")
	c.planFile(g, "a misspelt field", strings.Replace(web, "maxUnavailable", "maxUnavaliable", 1))
	c.planFile(g, "neither surge nor unavailable", strings.Replace(web, "maxSurge: 1", "maxSurge: 0", 1))
	c.planFile(g, "a number that is a word", strings.Replace(web, "replicas: 3", "replicas: three", 1))
	c.planFile(g, "what no node here can start", strings.NewReplacer("web:v1", "web v1", "    spec:", "    spec:\n      volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]").Replace(web))
	c.planFile(g, "another namespace", strings.Replace(web, "{name: web}", "{name: web, namespace: nowhere}", 1))
	c.planFile(g, "more than the node has", strings.Replace(web, "cpu: 500m", "cpu: 600m", 1))
	c.planFile(g, "no such objects", strings.Replace(web, "env: [{name: MODE, value: test}]",
		"envFrom: [{configMapRef: {name: settings}}], env: [{name: KEY, valueFrom: {secretKeyRef: {name: keys, key: a}}}]", 1))
	c.planFile(g, "no such service account", strings.Replace(web, "    spec:", "    spec:\n      serviceAccountName: robot", 1))
	c.planFile(g, "a version that there never was", strings.Replace(web, "apps/v1", "apps/v3", 1))
	other := strings.Replace(web, "{name: web}", "{name: other}", 1)
	c.planFile(g, "no selector", strings.Replace(other, "  selector: {matchLabels: {app: web}}\n", "", 1))
	c.planFile(g, "an empty template", other[:strings.Index(other, "    metadata: {labels")])
	c.planFile(g, "processDeadlineSeconds", strings.Replace(other, "replicas: 3", "processDeadlineSeconds: 60", 1))
	c.planFile(g, "a list of a Deployment and its ConfigMap", `
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {mode: live}}
- apiVersion: apps/v1
  kind: Deployment
  metadata: {name: other}
  spec:
    selector: {matchLabels: {app: other}}
    template:
      metadata: {labels: {app: other}}
      spec:
        containers:
        - {name: web, image: "web:v1", env: [{name: MODE, valueFrom: {configMapKeyRef: {name: settings, key: mode}}}]}
`)
	if after := c.everything(); after != before {
		t.Errorf("planning has changed something. Before:\n%s\nAfter:\n%s", before, after)
	}
	g.compare()
}

// TestPlanLeavesWhatOthersMade: kubectl apply takes away what its last file
// said and the new one does not, and nothing else.
func TestPlanLeavesWhatOthersMade(t *testing.T) {
	c := newCluster(t)
	g := newGolden(t, "plan-leaves")
	c.make(web)
	c.change("web", func(d *appsv1.Deployment) {
		// As kubectl apply writes it.
		d.Annotations[corev1.LastAppliedConfigAnnotation] = `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"annotations":{"mine":"old"},"name":"web","namespace":"default"}}`
		d.Annotations["mine"], d.Annotations["theirs"] = "old", "kept"
	})
	c.planFile(g, "without the annotation of the last file", web)
	c.planFile(g, "with another value of it", strings.Replace(web, "{name: web}", "{name: web, annotations: {mine: new}}", 1))
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

// TestPlanForeseesWhatHappens: the steps of a plan are those that the real
// controllers take, in their order, as the Deployment's events tell them. The
// bounds let one step be taken at a time, so that there is one order only.
func TestPlanForeseesWhatHappens(t *testing.T) {
	c := newCluster(t)
	for name, strategy := range map[string]string{
		"surge":    "{rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}",
		"no-surge": "{rollingUpdate: {maxSurge: 0, maxUnavailable: 1}}",
		"recreate": "{type: Recreate}",
	} {
		t.Run(name, func(t *testing.T) {
			manifest := strings.NewReplacer("name: web}", "name: "+name+"}", "app: web", "app: "+name, "cpu: 500m", "cpu: 50m",
				"{rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}", strategy).Replace(web)
			c.make(manifest)
			c.eventually("the event of its creation", func() (bool, error) { return len(c.scalings(name)) == 1, nil })
			foreseen := c.foreseen(name, "web:v2")
			c.change(name, func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = "web:v2" })
			c.rolledOut(name)
			var happened []string
			c.eventually("as many events as steps", func() (bool, error) {
				happened = c.scalings(name)[1:]
				return len(happened) >= len(foreseen), nil
			})
			if !slices.Equal(happened, foreseen) {
				t.Errorf("foreseen was\n%s\nand this happened\n%s", strings.Join(foreseen, "\n"), strings.Join(happened, "\n"))
			}
		})
	}
}

// foreseen are the steps of a plan that change a size.
func (c *cluster) foreseen(name, image string) []string {
	c.t.Helper()
	var p plan.Plan
	text := c.run(strings.NewReader(""), "plan", "deploy/"+name, "--image", "*="+image, "-o", "json")
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		c.t.Fatalf("%v in\n%s", err, text)
	}
	var steps []string
	for _, wave := range p.Waves {
		for _, step := range wave.Steps {
			if step.From != step.To {
				steps = append(steps, fmt.Sprintf("%s from %d to %d", step.ReplicaSet, step.From, step.To))
			}
		}
	}
	return steps
}

var scaled = regexp.MustCompile(`^Scaled (?:up|down) replica set (.*)$`)

// scalings are the changes of size that a Deployment's events tell, in order.
func (c *cluster) scalings(name string) []string {
	c.t.Helper()
	events, err := c.CoreV1().Events("default").List(c.t.Context(), metav1.ListOptions{FieldSelector: "reason=ScalingReplicaSet,involvedObject.name=" + name})
	if err != nil {
		c.t.Fatal(err)
	}
	// Their names end with the time in nanoseconds.
	slices.SortFunc(events.Items, func(a, b corev1.Event) int { return cmp.Compare(a.Name, b.Name) })
	var all []string
	for _, event := range events.Items {
		if match := scaled.FindStringSubmatch(event.Message); match != nil {
			all = append(all, match[1])
		}
	}
	return all
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
