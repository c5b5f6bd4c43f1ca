package cli

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/agext/levenshtein"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/metadata"
)

// notFound is what the API says of a name that does not exist, as kubectl
// prints it: `Error from server (NotFound): deployments.apps "x" not found`.
var notFound = regexp.MustCompile(`\(NotFound\): ([a-z0-9.-]+) "([^"]+)" not found`)

// nearNames answers a NotFound error with the nearest name of the same kind,
// for somebody who wrote `http-go` for `http-go-deployment`. It returns ""
// if there is none, or if the API cannot be asked.
func nearNames(flags *genericclioptions.ConfigFlags, message string) string {
	match := notFound.FindStringSubmatch(message)
	if match == nil {
		return ""
	}
	resource, wanted := schema.ParseGroupResource(match[1]), match[2]
	names, err := namesOf(flags, resource)
	if err != nil {
		return ""
	}
	near, found := nearest(wanted, names)
	if !found {
		return ""
	}
	return fmt.Sprintf("Did you mean %q? There is one of that name: kubectl get %s %s\n", near, match[1], near)
}

// namesOf lists the names of a resource in the namespace the user works in.
func namesOf(flags *genericclioptions.ConfigFlags, resource schema.GroupResource) ([]string, error) {
	mapper, err := flags.ToRESTMapper()
	if err != nil {
		return nil, err
	}
	version, err := mapper.ResourceFor(resource.WithVersion(""))
	if err != nil {
		return nil, err
	}
	config, err := flags.ToRESTConfig()
	if err != nil {
		return nil, err
	}
	namespace, _, err := flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, err
	}
	client, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	list, err := client.Resource(version).Namespace(namespace).List(ctx, metav1.ListOptions{Limit: 500})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, item := range list.Items {
		names = append(names, item.Name)
	}
	return names, nil
}

// nearest is the name that most likely was meant: one that begins with the
// wanted name or is its beginning, or else one at most two edits away.
func nearest(wanted string, names []string) (string, bool) {
	const mostEdits = 2
	best, bestDistance := "", mostEdits+1
	for _, name := range names {
		if name == wanted {
			continue
		}
		distance := levenshtein.Distance(wanted, name, nil)
		if strings.HasPrefix(name, wanted+"-") || strings.HasPrefix(wanted, name+"-") {
			distance = min(distance, 1)
		}
		if distance < bestDistance {
			best, bestDistance = name, distance
		}
	}
	return best, best != ""
}
