package cli

import (
	"fmt"
	"slices"
	"strings"
)

// deploymentKinds are the ways in which kubectl lets a Deployment be written.
var deploymentKinds = []string{"deploy", "deployment", "deployments", "deployment.apps", "deployments.apps", "deployment.v1.apps", "deployments.v1.apps"}

// parseDeployment reads deploy/NAME, or the two words deploy NAME, from the
// beginning of args. It returns what follows.
func parseDeployment(args []string) (name string, rest []string, err error) {
	if len(args) == 0 {
		return "", nil, fmt.Errorf("say which Deployment: deploy/NAME")
	}
	kind, name, isPair := strings.Cut(args[0], "/")
	rest = args[1:]
	if !isPair && slices.Contains(deploymentKinds, strings.ToLower(kind)) {
		if len(rest) == 0 {
			return "", nil, fmt.Errorf("say which Deployment: %s/NAME", kind)
		}
		name, rest, isPair = rest[0], rest[1:], true
	}
	switch {
	case !isPair:
		return "", nil, fmt.Errorf("%q is no Deployment: write deploy/%s", args[0], args[0])
	case !slices.Contains(deploymentKinds, strings.ToLower(kind)):
		return "", nil, fmt.Errorf("%q is a %s, and only Deployments can be used here: write deploy/NAME", args[0], kind)
	case name == "" || strings.Contains(name, "/"):
		return "", nil, fmt.Errorf("%q has no name: write deploy/NAME", args[0])
	}
	return name, rest, nil
}
