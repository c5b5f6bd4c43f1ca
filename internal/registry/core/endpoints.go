package core

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	api "coxswain.dev/cox/internal/apis/core"
	"coxswain.dev/cox/internal/registry"
)

func endpoints() registry.Kind[*corev1.Endpoints] {
	return registry.Kind[*corev1.Endpoints]{
		Version: corev1.SchemeGroupVersion, Resource: "endpoints", Singular: "endpoints", ShortNames: []string{"ep"},
		New:     func() *corev1.Endpoints { return &corev1.Endpoints{} },
		NewList: func() runtime.Object { return &corev1.EndpointsList{} },
		Validate: func(_ context.Context, obj *corev1.Endpoints) field.ErrorList {
			return api.ValidateEndpoints(obj, nil)
		},
		ValidateUpdate: func(_ context.Context, obj, old *corev1.Endpoints) field.ErrorList {
			return api.ValidateEndpoints(obj, old)
		},
		Columns: []metav1.TableColumnDefinition{
			registry.NameColumn, registry.Column("Endpoints", "string", corev1.Endpoints{}.SwaggerDoc()["subsets"]), registry.AgeColumn,
		},
		Row: func(obj *corev1.Endpoints) []any {
			return []any{obj.Name, endpointsText(obj), registry.Age(obj.CreationTimestamp)}
		},
	}
}

// endpointsText prints the first three addresses, and how many more there are.
func endpointsText(endpoints *corev1.Endpoints) string {
	const most = 3
	var shown []string
	count := 0
	for _, subset := range endpoints.Subsets {
		ports := subset.Ports
		if len(ports) == 0 {
			ports = []corev1.EndpointPort{{}}
		}
		for _, port := range ports {
			for _, address := range subset.Addresses {
				if count++; count > most {
					continue
				}
				text := address.IP
				if port.Port != 0 {
					text = net.JoinHostPort(address.IP, strconv.Itoa(int(port.Port)))
				}
				shown = append(shown, text)
			}
		}
	}
	text := strings.Join(shown, ",")
	if count > most {
		text += fmt.Sprintf(" + %d more...", count-most)
	}
	return orNone(text)
}
