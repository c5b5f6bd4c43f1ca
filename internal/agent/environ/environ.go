// Package environ works out a container's environment: variables of Services,
// of whole ConfigMaps and Secrets, single values from many places, and $(NAME)
// in values, commands and arguments.
package environ

import (
	"context"
	"fmt"
	"sort"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"coxswain.dev/cox/internal/agent/downward"
)

// Objects are read by name; a missing one is a NotFound error.
type Objects interface {
	ConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error)
	Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error)
}

// Input is what an environment is made of.
type Input struct {
	// Pod has its addresses in its status.
	Pod       *corev1.Pod
	Container *corev1.Container
	// Services are the variables of Services; the container's own win.
	Services map[string]string
	Objects  Objects
	// Node is what the node can give, for limits that are not set.
	Node corev1.ResourceList
}

// Variable is one NAME=value.
type Variable struct{ Name, Value string }

// Make returns the variables in a stable order. Its errors have the words that
// a container in CreateContainerConfigError shows.
func Make(ctx context.Context, in Input) ([]Variable, error) {
	m := &maker{Input: in, values: map[string]string{}}
	for i := range in.Container.EnvFrom {
		if err := m.from(ctx, &in.Container.EnvFrom[i]); err != nil {
			return nil, err
		}
	}
	for i := range in.Container.Env {
		if err := m.single(ctx, &in.Container.Env[i]); err != nil {
			return nil, err
		}
	}
	for name, value := range in.Services {
		if _, own := m.values[name]; !own {
			m.set(name, value)
		}
	}
	sort.Strings(m.late)
	return m.list(), nil
}

type maker struct {
	Input
	values map[string]string
	// names are those of Env, in its order; late are all others.
	names, late []string
}

func (m *maker) set(name, value string) {
	if _, known := m.values[name]; !known {
		m.late = append(m.late, name)
	}
	m.values[name] = value
}

func (m *maker) list() []Variable {
	var all []Variable
	for _, name := range append(m.late, m.names...) {
		all = append(all, Variable{name, m.values[name]})
	}
	return all
}

// Lookup finds a variable for Expand.
func Lookup(variables []Variable) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := len(variables) - 1; i >= 0; i-- {
			if variables[i].Name == name {
				return variables[i].Value, true
			}
		}
		return "", false
	}
}

// from adds all pairs of a ConfigMap or Secret.
func (m *maker) from(ctx context.Context, from *corev1.EnvFromSource) error {
	pairs := map[string]string{}
	switch {
	case from.ConfigMapRef != nil:
		found, err := m.Objects.ConfigMap(ctx, m.Pod.Namespace, from.ConfigMapRef.Name)
		if missing(err, from.ConfigMapRef.Optional) {
			return nil
		} else if err != nil {
			return err
		}
		pairs = found.Data
	case from.SecretRef != nil:
		found, err := m.Objects.Secret(ctx, m.Pod.Namespace, from.SecretRef.Name)
		if missing(err, from.SecretRef.Optional) {
			return nil
		} else if err != nil {
			return err
		}
		for key, value := range found.Data {
			pairs[key] = string(value)
		}
	}
	for key, value := range pairs {
		m.set(from.Prefix+key, value)
	}
	return nil
}

// single adds one variable.
func (m *maker) single(ctx context.Context, env *corev1.EnvVar) error {
	value, given := Expand(env.Value, m.lookup), true
	if env.ValueFrom != nil {
		var err error
		if value, given, err = m.valueFrom(ctx, env.ValueFrom); err != nil {
			return err
		}
	}
	if !given {
		return nil
	}
	if _, known := m.values[env.Name]; !known {
		m.names = append(m.names, env.Name)
	}
	m.values[env.Name] = value
	return nil
}

func (m *maker) lookup(name string) (string, bool) {
	if value, known := m.values[name]; known {
		return value, true
	}
	value, known := m.Services[name]
	return value, known
}

func (m *maker) valueFrom(ctx context.Context, from *corev1.EnvVarSource) (value string, given bool, err error) {
	switch {
	case from.FieldRef != nil:
		value, err = downward.Field(m.Pod, from.FieldRef.FieldPath)
		return value, true, err
	case from.ResourceFieldRef != nil:
		value, err = downward.Resource(m.Pod, m.Container, from.ResourceFieldRef, m.Node)
		return value, true, err
	case from.ConfigMapKeyRef != nil:
		ref := from.ConfigMapKeyRef
		found, err := m.Objects.ConfigMap(ctx, m.Pod.Namespace, ref.Name)
		if missing(err, ref.Optional) {
			return "", false, nil
		} else if err != nil {
			return "", false, err
		}
		value, has := found.Data[ref.Key]
		if !has && !optional(ref.Optional) {
			return "", false, fmt.Errorf("couldn't find key %v in ConfigMap %v/%v", ref.Key, m.Pod.Namespace, ref.Name)
		}
		return value, has, nil
	case from.SecretKeyRef != nil:
		ref := from.SecretKeyRef
		found, err := m.Objects.Secret(ctx, m.Pod.Namespace, ref.Name)
		if missing(err, ref.Optional) {
			return "", false, nil
		} else if err != nil {
			return "", false, err
		}
		secret, has := found.Data[ref.Key]
		if !has && !optional(ref.Optional) {
			return "", false, fmt.Errorf("couldn't find key %v in Secret %v/%v", ref.Key, m.Pod.Namespace, ref.Name)
		}
		return string(secret), has, nil
	}
	return "", false, fmt.Errorf("a variable has a valueFrom of a form that is not known")
}

func optional(given *bool) bool { return given != nil && *given }

func missing(err error, mayMiss *bool) bool { return optional(mayMiss) && apierrors.IsNotFound(err) }

// ExpandAll is Expand for each text of a command or its arguments.
func ExpandAll(texts []string, variables []Variable) []string {
	var all []string
	for _, text := range texts {
		all = append(all, Expand(text, Lookup(variables)))
	}
	return all
}

// String is the form that a process gets.
func (v Variable) String() string { return strings.Join([]string{v.Name, v.Value}, "=") }
