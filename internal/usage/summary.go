package usage

import "time"

// Path is where an agent serves its Summary, by the kubelet's name.
const Path = "/stats/summary"

// Summary is what a node and its running containers use.
type Summary struct {
	// Time is when the sample was taken.
	Time time.Time `json:"-"`
	Node Node      `json:"node"`
	// Pods are sorted by namespace and name.
	Pods []Pod `json:"pods"`
}

// Node is what the whole machine uses.
type Node struct {
	Name   string  `json:"nodeName"`
	CPU    *CPU    `json:"cpu,omitempty"`
	Memory *Memory `json:"memory,omitempty"`
}

// Pod has the running containers of a Pod, sorted by name.
type Pod struct {
	Ref        PodRef      `json:"podRef"`
	Containers []Container `json:"containers"`
}

// PodRef names a Pod.
type PodRef struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	UID       string `json:"uid"`
}

// Container is one that runs.
type Container struct {
	Name string `json:"name"`
	// ID is the runtime's: a container that was started anew has another one.
	ID string `json:"-"`
	// StartTime is zero if it is not known.
	StartTime time.Time `json:"startTime"`
	CPU       *CPU      `json:"cpu,omitempty"`
	Memory    *Memory   `json:"memory,omitempty"`
}

// CPU is processor time.
type CPU struct {
	Time time.Time `json:"time"`
	// UsageCoreNanoSeconds is all that was ever taken, of every core together.
	UsageCoreNanoSeconds uint64 `json:"usageCoreNanoSeconds"`
	// UsageNanoCores is how much was taken on average in the Window before
	// Time, in billionths of a core; nil where that is not known.
	UsageNanoCores *uint64 `json:"usageNanoCores,omitempty"`
	// Window, in nanoseconds, is ours: the kubelet does not tell it.
	Window time.Duration `json:"windowNanoSeconds,omitempty"`
}

// Memory is what cannot be taken back under pressure, in bytes.
type Memory struct {
	Time            time.Time `json:"time"`
	WorkingSetBytes uint64    `json:"workingSetBytes"`
}
