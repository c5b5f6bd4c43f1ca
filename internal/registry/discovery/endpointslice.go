// Package discovery describes the kinds of the discovery.k8s.io group.
package discovery

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	api "coxswain.dev/cox/internal/apis/discovery"
	"coxswain.dev/cox/internal/registry"
)

// Kinds returns every resource of the group.
func Kinds() []registry.Builder { return []registry.Builder{endpointSlice()} }

func endpointSlice() registry.Kind[*discoveryv1.EndpointSlice] {
	return registry.Kind[*discoveryv1.EndpointSlice]{
		Version: discoveryv1.SchemeGroupVersion, Resource: "endpointslices", Singular: "endpointslice",
		New:              func() *discoveryv1.EndpointSlice { return &discoveryv1.EndpointSlice{} },
		NewList:          func() runtime.Object { return &discoveryv1.EndpointSliceList{} },
		PrepareForCreate: func(_ context.Context, obj *discoveryv1.EndpointSlice) { obj.Generation = 1 },
		PrepareForUpdate: func(_ context.Context, obj, old *discoveryv1.EndpointSlice) { countGeneration(obj, old) },
		Validate: func(_ context.Context, obj *discoveryv1.EndpointSlice) field.ErrorList {
			return api.ValidateEndpointSlice(obj)
		},
		ValidateUpdate: func(_ context.Context, obj, old *discoveryv1.EndpointSlice) field.ErrorList {
			return api.ValidateEndpointSliceUpdate(obj, old)
		},
		Columns: []metav1.TableColumnDefinition{
			registry.NameColumn,
			registry.Column("AddressType", "string", discoveryv1.EndpointSlice{}.SwaggerDoc()["addressType"]),
			registry.Column("Ports", "string", discoveryv1.EndpointSlice{}.SwaggerDoc()["ports"]),
			registry.Column("Endpoints", "string", discoveryv1.EndpointSlice{}.SwaggerDoc()["endpoints"]),
			registry.AgeColumn,
		},
		Row: func(obj *discoveryv1.EndpointSlice) []any {
			return []any{obj.Name, string(obj.AddressType), portsText(obj.Ports), endpointsText(obj.Endpoints), registry.Age(obj.CreationTimestamp)}
		},
	}
}

// countGeneration counts a change of anything but metadata, labels included.
func countGeneration(obj, old *discoveryv1.EndpointSlice) {
	obj.Generation = old.Generation
	if obj.AddressType != old.AddressType || !equality.Semantic.DeepEqual(obj.Endpoints, old.Endpoints) ||
		!equality.Semantic.DeepEqual(obj.Ports, old.Ports) || !maps.Equal(obj.Labels, old.Labels) {
		obj.Generation++
	}
}

// most is how many ports or addresses a line shows.
const most = 3

func portsText(ports []discoveryv1.EndpointPort) string {
	var texts []string
	for _, port := range ports {
		text := "*"
		if port.Port != nil {
			text = strconv.Itoa(int(*port.Port))
		} else if port.Name != nil && *port.Name != "" {
			text = *port.Name
		}
		texts = append(texts, text)
	}
	return list(texts, "<unset>")
}

func endpointsText(endpoints []discoveryv1.Endpoint) string {
	var texts []string
	for _, endpoint := range endpoints {
		if len(endpoint.Addresses) > 0 {
			texts = append(texts, endpoint.Addresses[0])
		}
	}
	return list(texts, "<unset>")
}

func list(texts []string, none string) string {
	switch {
	case len(texts) == 0:
		return none
	case len(texts) > most:
		return fmt.Sprintf("%s + %d more...", strings.Join(texts[:most], ","), len(texts)-most)
	default:
		return strings.Join(texts, ",")
	}
}
