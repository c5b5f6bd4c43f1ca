package podlifecycle

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"coxswain.dev/cox/test/golden"
)

func ready(r *ProbeResults)   { r.Readiness = ProbeSucceeded }
func unready(r *ProbeResults) { r.Readiness = ProbeFailed }
func dead(r *ProbeResults)    { r.Liveness = ProbeFailed }
func begun(r *ProbeResults)   { r.Startup = ProbeSucceeded }

var httpProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/"}}}

// scenarios are told in testdata/NAME.txt.
var scenarios = map[string]func(w *world){
	"a Pod starts and is deleted": func(w *world) {
		w.settle()
		w.say("deleted")
		w.delete(30)
		w.settle()
	},
	"a Pod of a Service is routed before it is available": func(w *world) {
		w.s.Services = []Service{{Name: "default/web"}, {Name: "default/web-admin"}}
		w.s.Pod.Spec.Containers[0].ReadinessProbe = httpProbe
		w.settle()
		w.say("the probe succeeds")
		w.probe("app", ready)
		w.settle()
		w.say("and fails")
		w.probe("app", unready)
		w.settle()
		w.say("and succeeds again")
		w.probe("app", ready)
		w.settle()
		w.say("the Services are gone")
		w.s.Services = nil
		w.settle()
	},
	"a Pod that is not routed in time is available all the same": func(w *world) {
		w.s.Services, w.noRoute = []Service{{Name: "default/web"}}, true
		w.settle()
		w.say("a later word of the proxy changes nothing")
		w.noRoute = false
		w.settle()
	},
	"a Pod that is ready before its Service stays available": func(w *world) {
		w.settle()
		w.say("a Service selects it")
		w.s.Services = []Service{{Name: "default/web"}}
		w.write(w.decide())
		w.settle()
	},
	"a new agent asks again for a Pod that was not routed yet": func(w *world) {
		w.s.Services = []Service{{Name: "default/web"}}
		for _, action := range []Action{PrepareVolumes{}, MakeSandbox{}, PullImage{Container: "app"}} {
			w.do(action)
		}
		w.do(StartContainer{Container: "app", SandboxID: "s1"})
		w.write(w.decide())
		w.say("the agent is a new one")
		w.s.Since = w.s.Now
		w.settle()
	},
	"the time for connections is not taken from the containers": func(w *world) {
		w.s.Services = []Service{{Name: "default/web"}}
		w.settle()
		w.say("deleted with 30 s, and 10 s for its connections")
		w.s.Pod.Annotations = map[string]string{DrainGraceAnnotation: "10"}
		w.delete(40)
		w.write(w.decide())
		w.say("9 s later the connections are closed")
		w.pass(9 * time.Second)
		w.s.Unrouted = true
		w.write(w.decide())
	},
	"a shortened grace period is for connections and containers": func(w *world) {
		w.settle()
		w.say("deleted with 30 s, 10 s for its connections, and then with 5 s in all")
		w.s.Pod.Annotations = map[string]string{DrainGraceAnnotation: "10"}
		w.delete(5)
		w.write(w.decide())
		w.s.Unrouted = true
		w.write(w.decide())
	},
	"a Service says how long connections are waited for": func(w *world) {
		w.s.Services = []Service{{Name: "default/a", Drain: "2"}, {Name: "default/b", Drain: "4"}, {Name: "default/c"}}
		w.settle()
		w.say("deleted: the longest counts")
		w.delete(30)
		w.write(w.decide())
		w.say("one of them makes no sense")
		w.s.Services[0].Drain = "soon"
		w.write(w.decide())
		w.say("the Pod itself says it")
		w.s.Pod.Annotations = map[string]string{DrainAnnotation: "1"}
		w.write(w.decide())
	},
	"a Pod that is deleted is not routed any more": func(w *world) {
		w.s.Services = []Service{{Name: "default/web"}}
		w.settle()
		w.say("deleted")
		w.delete(30)
		w.settle()
	},
	"a readiness probe decides over Ready": func(w *world) {
		w.s.Pod.Spec.Containers[0].ReadinessProbe = httpProbe
		w.settle()
		w.say("the probe succeeds")
		w.probe("app", ready)
		w.settle()
		w.say("and fails")
		w.pass(time.Minute)
		w.probe("app", unready)
		w.settle()
	},
	"a startup probe holds back the others": func(w *world) {
		c := &w.s.Pod.Spec.Containers[0]
		c.StartupProbe, c.LivenessProbe, c.ReadinessProbe = httpProbe, httpProbe, httpProbe
		w.settle()
		w.say("the startup probe succeeds")
		w.probe("app", begun)
		w.settle()
		w.say("the readiness probe succeeds")
		w.probe("app", ready)
		w.settle()
		w.say("the liveness probe fails")
		w.probe("app", dead)
		w.settle()
	},
	"a container crashes again and again": func(w *world) {
		w.settle()
		for range 3 {
			w.say("it exits")
			w.pass(time.Second)
			w.exit("app", 1)
			d := w.settle()
			if !d.WakeAt.IsZero() {
				w.say("the back-off is over")
				w.s.Now = d.WakeAt
				w.settle()
			}
		}
		w.say("it ran long enough")
		w.pass(backoffReset + time.Second)
		w.exit("app", 1)
		w.settle()
	},
	"an image cannot be pulled": func(w *world) {
		w.noImage["app"] = Image{Reason: "ErrImagePull", Message: "no such image", Backoff: 10 * time.Second}
		d := w.settle()
		w.s.Now = d.WakeAt
		w.say("a moment later")
		d = w.settle()
		w.say("it is there now")
		delete(w.noImage, "app")
		w.s.Now = d.WakeAt
		w.settle()
	},
	"a ConfigMap is missing": func(w *world) {
		key := StartContainer{Container: "app"}.Key()
		w.broken[key] = Failure{Reason: "CreateContainerConfigError", Message: `configmap "conf" not found`, Backoff: 10 * time.Second}
		w.settle()
		w.say("it is there now")
		delete(w.broken, key)
		w.pass(10 * time.Second)
		w.settle()
	},
	"a command does not exist": func(w *world) {
		w.broken[StartContainer{Container: "app"}.Key()] = Failure{Reason: "RunContainerError", Message: `exec: "/nope": no such file`}
		d := w.settle()
		w.say("a moment later")
		w.s.Now = d.WakeAt
		w.settle()
	},
	"init containers run one after the other": func(w *world) {
		w.s.Pod.Spec.InitContainers = []corev1.Container{{Name: "one", Image: "one:v1"}, {Name: "two", Image: "two:v1"}}
		w.settle()
		for _, name := range []string{"one", "two"} {
			w.say("%s succeeds", name)
			w.exit(name, 0)
			w.settle()
		}
	},
	"an init container fails for good": func(w *world) {
		w.s.Pod.Spec.RestartPolicy = corev1.RestartPolicyNever
		w.s.Pod.Spec.InitContainers = []corev1.Container{{Name: "one", Image: "one:v1"}}
		w.settle()
		w.say("it fails")
		w.exit("one", 3)
		w.settle()
	},
	"a sidecar starts first and stops last": func(w *world) {
		always := corev1.ContainerRestartPolicyAlways
		w.s.Pod.Spec.InitContainers = []corev1.Container{{Name: "proxy", Image: "proxy:v1", RestartPolicy: &always, StartupProbe: httpProbe}}
		w.settle()
		w.say("the sidecar has started")
		w.probe("proxy", begun)
		w.settle()
		w.say("deleted")
		w.delete(30)
		w.settle()
	},
	"a Pod that runs to its end": func(w *world) {
		w.s.Pod.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
		w.settle()
		w.say("it fails")
		w.exit("app", 1)
		w.settle()
		w.say("it succeeds")
		w.exit("app", 0)
		w.settle()
	},
	"the machine starts again": func(w *world) {
		w.settle()
		w.say("after a reboot")
		w.pass(time.Minute)
		w.end(w.find("app").ID, 255, "Unknown")
		w.s.Sandboxes[0].Ready = false
		w.settle()
	},
	"the runtime has forgotten a container": func(w *world) {
		w.settle()
		w.say("everything is gone")
		w.s.Containers, w.s.Sandboxes = nil, nil
		w.settle()
	},
	"the agent dies in the middle of a start that ends well": func(w *world) {
		w.agentDiesInAStart()
		w.say("the container runs after all")
		w.s.Containers[0].State, w.s.Containers[0].StartedAt = Running, w.s.Now
		w.settle()
	},
	"the agent dies in the middle of a start that is given up": func(w *world) {
		w.agentDiesInAStart()
		w.say("the runtime has given it up")
		w.s.Containers[0].FinishedAt = w.s.Now
		w.settle()
	},
	"the agent dies between creation and start": func(w *world) {
		w.agentDiesInAStart()
		w.say("it was never begun")
		w.pass(startEndsWithin)
		w.settle()
	},
	"a Pod has been active for too long": func(w *world) {
		limit := int64(60)
		w.s.Pod.Spec.ActiveDeadlineSeconds = &limit
		w.settle()
		w.say("a minute later")
		w.pass(time.Minute)
		w.settle()
	},
	"connections may be waited for as long as the Pod says": func(w *world) {
		w.settle()
		w.s.Pod.Annotations = map[string]string{DrainAnnotation: "3"}
		w.say("deleted")
		w.delete(30)
		w.write(w.decide())
		w.say("not at all")
		w.s.Pod.Annotations[DrainAnnotation] = "0"
		w.write(w.decide())
		w.say("never longer than the grace period")
		w.s.Pod.Annotations[DrainAnnotation] = "60"
		w.write(w.decide())
		w.say("nonsense")
		w.s.Pod.Annotations[DrainAnnotation] = "a minute"
		w.write(w.decide())
	},
	"deletion is forced": func(w *world) {
		w.settle()
		w.say("gone from the API")
		w.s.Gone = true
		w.settle()
	},
	"two containers, one fails to start": func(w *world) {
		w.s.Pod.Spec.Containers = append(w.s.Pod.Spec.Containers, corev1.Container{Name: "other", Image: "other:v1"})
		w.noImage["app"] = Image{Reason: "ErrImageNeverPull", Message: "it is not here", Backoff: 10 * time.Second}
		w.settle()
	},
	"an image is changed in place": func(w *world) {
		w.settle()
		w.say("another image")
		w.s.Pod.Spec.Containers[0].Image = "app:v2"
		w.s.Pod.Generation++
		w.settle()
	},
	"a readiness gate is missing": func(w *world) {
		w.s.Pod.Spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: "example.com/gate"}}
		w.settle()
		w.say("it is set")
		w.s.Pod.Status.Conditions = append(w.s.Pod.Status.Conditions, corev1.PodCondition{Type: "example.com/gate", Status: corev1.ConditionTrue})
		w.settle()
	},
}

func TestScenarios(t *testing.T) {
	for name, play := range scenarios {
		t.Run(name, func(t *testing.T) {
			w := newWorld(podOf("app"))
			w.say("%s", name)
			play(w)
			golden.Check(t, filepath.Join("testdata", strings.ReplaceAll(name, " ", "-")+".txt"), w.text.String())
		})
	}
}

func TestWhatIsDoneIsNotDoneAgain(t *testing.T) {
	for name, play := range scenarios {
		w := newWorld(podOf("app"))
		play(w)
		if first, again := w.decide(), w.decide(); first.String() != again.String() {
			t.Errorf("%s: the same observations gave two decisions:\n%s", name, cmp.Diff(first.String(), again.String()))
		}
	}
}
