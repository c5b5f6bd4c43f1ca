package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"coxswain.dev/cox/internal/apis/core"
	"coxswain.dev/cox/internal/quota"
)

// raiseQuota is what helps where a quota has no room for a Pod.
const raiseQuota = "raise the quota"

// quotaLeft is a quota with what is used of it.
type quotaLeft struct {
	*corev1.ResourceQuota
	hard, used corev1.ResourceList
}

func quotasLeft(quotas []*corev1.ResourceQuota) []*quotaLeft {
	var all []*quotaLeft
	for _, q := range slices.SortedFunc(slices.Values(quotas), func(a, b *corev1.ResourceQuota) int { return strings.Compare(a.Name, b.Name) }) {
		left := &quotaLeft{q, q.Spec.Hard, maps.Clone(q.Status.Used)}
		if len(q.Status.Hard) > 0 {
			left.hard = q.Status.Hard // what admission goes by
		}
		if left.used == nil {
			left.used = corev1.ResourceList{}
		}
		all = append(all, left)
	}
	return all
}

// usage is what one new object takes of quotas.
type usage struct {
	amounts corev1.ResourceList
	// pod is set for a Pod, which has scopes and must state what is limited.
	pod *corev1.Pod
}

var countedReplicaSet = usage{amounts: corev1.ResourceList{"count/replicasets.apps": resource.MustParse("1"), "count/replicasets.extensions": resource.MustParse("1")}}

func usageOfPod(p *corev1.Pod, now time.Time) usage {
	plain := &corev1.Pod{ObjectMeta: *p.ObjectMeta.DeepCopy(), Spec: p.Spec}
	plain.DeletionTimestamp = nil
	return usage{quota.PodUsage(plain, now), plain}
}

// charge takes an object's part of every quota, or says which has none left.
func (w *world) charge(u usage) *Problem {
	for _, q := range w.quotas {
		if problem := q.refusal(u); problem != nil {
			return problem
		}
	}
	w.addUsage(u, 1)
	return nil
}

// discharge gives it back.
func (w *world) discharge(u usage) { w.addUsage(u, -1) }

func (w *world) addUsage(u usage, sign int) {
	for _, q := range w.quotas {
		if !q.covers(u) {
			continue
		}
		for name := range q.hard {
			if amount, counts := u.amounts[name]; counts {
				used := q.used[name].DeepCopy()
				if sign > 0 {
					used.Add(amount)
				} else if used.Sub(amount); used.Sign() < 0 {
					used = resource.Quantity{}
				}
				q.used[name] = used
			}
		}
	}
}

// covers tells whether a quota's scopes hold the object.
func (q *quotaLeft) covers(u usage) bool {
	if u.pod == nil {
		return len(quota.Scopes(&q.Spec)) == 0
	}
	return !slices.ContainsFunc(quota.Scopes(&q.Spec), func(scope corev1.ScopedResourceSelectorRequirement) bool {
		return !quota.PodInScope(scope, u.pod, core.QOSClass)
	})
}

// refusal is what the API would say, nil if it takes the object.
func (q *quotaLeft) refusal(u usage) *Problem {
	if !q.covers(u) {
		return nil
	}
	if u.pod != nil {
		if err := quota.PodConstraints(slices.Collect(maps.Keys(q.hard)), u.pod); err != nil {
			return &Problem{Cause: "ResourceQuota", Message: fmt.Sprintf("failed quota: %s: %v", q.Name, err),
				Advice: "state them in containers[].resources, or give the namespace a LimitRange with defaults"}
		}
	}
	requested, used, limited := corev1.ResourceList{}, corev1.ResourceList{}, corev1.ResourceList{}
	for name, hard := range q.hard {
		amount, counts := u.amounts[name]
		after := q.used[name].DeepCopy()
		after.Add(amount)
		if counts && amount.Sign() > 0 && after.Cmp(hard) > 0 {
			requested[name], used[name], limited[name] = amount, q.used[name], hard
		}
	}
	if len(requested) == 0 {
		return nil
	}
	advice := raiseQuota
	if u.pod == nil {
		advice = "raise the quota, or lower revisionHistoryLimit so that fewer old ReplicaSets are kept"
	}
	return &Problem{Cause: "ResourceQuota", Advice: advice,
		Message: fmt.Sprintf("exceeded quota: %s, requested: %s, used: %s, limited: %s", q.Name, amountsText(requested), amountsText(used), amountsText(limited))}
}

// amountsText is how the API writes amounts in its messages.
func amountsText(list corev1.ResourceList) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(list)) {
		amount := list[name]
		parts = append(parts, fmt.Sprintf("%s=%s", name, amount.String()))
	}
	return strings.Join(parts, ",")
}
