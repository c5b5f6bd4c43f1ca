package core

import (
	"fmt"
	"sort"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// quotaUse prints used and hard amounts, requests and limits apart.
func quotaUse(quota *corev1.ResourceQuota) (requests, limits string) {
	var names []string
	for name := range quota.Status.Hard {
		names = append(names, string(name))
	}
	sort.Strings(names)
	var requested, limited []string
	for _, name := range names {
		used, hard := quota.Status.Used[corev1.ResourceName(name)], quota.Status.Hard[corev1.ResourceName(name)]
		text := fmt.Sprintf("%s: %s/%s", name, used.String(), hard.String())
		if strings.HasPrefix(name, "limits") {
			limited = append(limited, text)
		} else {
			requested = append(requested, text)
		}
	}
	return strings.Join(requested, ", "), strings.Join(limited, ", ")
}
