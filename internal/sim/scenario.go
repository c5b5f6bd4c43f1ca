package sim

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Scenario is what a user wants to see played: a Deployment of theirs, what
// they change in it, and what goes wrong meanwhile.
type Scenario struct {
	// Deployment and those of Updates are as the API would store them.
	Deployment *appsv1.Deployment
	Updates    []Update
	Faults     []ScenarioFault
	// Random is how many faults are drawn beside those that are named.
	Random int
	Seed   uint64
	// ReadyAfter is the time from a Pod's placement until it is ready,
	// StopAfter from its deletion until it is gone. Each Pod takes up to a
	// fifth more or less.
	ReadyAfter, StopAfter time.Duration
}

// Update is an edit of the Deployment.
type Update struct {
	// Title tells where it comes from, such as its file.
	Title      string
	Deployment *appsv1.Deployment
	// At is the time since the Deployment was up; nil means when all is calm
	// after what came before.
	At *time.Duration
}

// ScenarioFault is a fault that the user names.
type ScenarioFault struct {
	Name string
	// At is the time since the Deployment was up; nil draws it.
	At *time.Duration
}

// Story is what became of a Scenario.
type Story struct {
	Namespace string   `json:"namespace"`
	Name      string   `json:"name"`
	Seed      uint64   `json:"seed"`
	Strategy  string   `json:"strategy"`
	Faults    []string `json:"faults"`
	Pods      PodTimes `json:"podModel"`
	Events    []Event  `json:"events"`
	Verdict   Verdict  `json:"verdict"`
}

// PodTimes is the model of Pods as the Story states it.
type PodTimes struct {
	ReadyAfterSeconds float64 `json:"readyAfterSeconds"`
	StopAfterSeconds  float64 `json:"stopAfterSeconds"`
}

// Event is one line of the time line.
type Event struct {
	// AtSeconds is the time since the Deployment was up.
	AtSeconds float64 `json:"atSeconds"`
	// Who is user, fault, a controller, Pod, rollout or bound.
	Who string `json:"who"`
	// What happened; Of is the ReplicaSet and Object the Pod, where there are.
	What   string `json:"what"`
	Of     string `json:"replicaSet,omitempty"`
	Object string `json:"pod,omitempty"`
	Cause  string `json:"cause,omitempty"`
	PodCounts
}

// PodCounts are the Pods after an event, as they really are: the controllers
// may know it later.
type PodCounts struct {
	Old       int32 `json:"old"`
	New       int32 `json:"new"`
	Available int32 `json:"available"`
	// Total is Old and New. Stopping ones, which have been told to stop and
	// are not gone, are in none of them.
	Total    int32 `json:"total"`
	Stopping int32 `json:"stopping"`
}

// Verdict is what is to be said at the end.
type Verdict struct {
	Converged bool `json:"converged"`
	// AfterSeconds is how long it took from the last update on.
	AfterSeconds float64 `json:"afterSeconds"`
	// WithoutFaultsSeconds is how long it takes if nothing goes wrong; nil if
	// nothing did, or if it does not converge then either.
	WithoutFaultsSeconds *float64 `json:"withoutFaultsSeconds,omitempty"`
	// Why says what keeps it from converging.
	Why            string   `json:"why,omitempty"`
	LeastAvailable Extreme  `json:"leastAvailable"`
	MostPods       Extreme  `json:"mostPods"`
	Breaches       []Breach `json:"breaches"`
	// Violation is the rule that the controllers themselves broke; empty if
	// they did not, which is how it must be.
	Violation string `json:"violation,omitempty"`
	// Steps is after how many steps the rules were checked.
	Steps int `json:"steps"`
}

// Extreme is the worst that was seen of a count.
type Extreme struct {
	Seen      int32   `json:"seen"`
	AtSeconds float64 `json:"atSeconds"`
	// Bound is the Deployment's at the end.
	Bound int32 `json:"bound"`
}

// Breach is a bound that did not hold for a while.
type Breach struct {
	// Bound is available or total.
	Bound       string  `json:"bound"`
	FromSeconds float64 `json:"fromSeconds"`
	// UntilSeconds is nil if it is broken at the end.
	UntilSeconds *float64 `json:"untilSeconds"`
	Worst        int32    `json:"worst"`
	Limit        int32    `json:"limit"`
	// By is who broke it, such as: fault pod-evicted.
	By string `json:"by"`
}

// MostPods bounds the Pods of a Scenario: its tables are searched linearly.
const MostPods = 1000

// Play plays a scenario. The same scenario gives the same story.
func Play(s Scenario) (Story, error) {
	for _, d := range s.deployments() {
		surge, _ := fences(d)
		if pods := int64(*d.Spec.Replicas) + int64(surge); pods > MostPods {
			return Story{}, fmt.Errorf("deployment %q may have %d Pods (spec.replicas and maxSurge), and %d are the most that can be simulated", d.Name, pods, MostPods)
		}
	}
	for _, f := range s.Faults {
		if _, err := findFault(f.Name); err != nil {
			return Story{}, err
		}
		if f.Name == neverReady && f.At != nil {
			return Story{}, fmt.Errorf("fault %s has no time: it is the first update's own", neverReady)
		}
	}
	calm := s
	calm.Faults, calm.Random = nil, 0
	reference := newPlayer(calm, nil)
	reference.play()
	if len(s.Faults) == 0 && s.Random == 0 {
		return reference.story(nil), nil
	}
	p := newPlayer(s, reference.parts)
	p.play()
	return p.story(reference), nil
}

// deployments are the Deployment in all its states.
func (s Scenario) deployments() []*appsv1.Deployment {
	all := []*appsv1.Deployment{s.Deployment}
	for _, u := range s.Updates {
		all = append(all, u.Deployment)
	}
	return all
}

// strategyText is the strategy with its bounds as written and as counts.
func strategyText(d *appsv1.Deployment) string {
	text := fmt.Sprintf("%s, %s", d.Spec.Strategy.Type, counted(*d.Spec.Replicas, "replica"))
	rolling := d.Spec.Strategy.RollingUpdate
	if d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType || rolling == nil {
		return text + ": all old Pods go before the first new one comes"
	}
	surge, unavailable := fences(d)
	written := func(v *intstr.IntOrString) string { return v.String() }
	return text + fmt.Sprintf(", maxSurge %s, maxUnavailable %s: at most %s, at least %d available",
		written(rolling.MaxSurge), written(rolling.MaxUnavailable), counted(*d.Spec.Replicas+surge, "Pod"), *d.Spec.Replicas-unavailable)
}

func counted(n int32, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
