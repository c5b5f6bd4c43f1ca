package strict

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"

	"coxswain.dev/cox/internal/apis/nearfields"
)

// quantityWords begin the complaints about quantities. They come from so deep
// inside of the decoder that they do not say which field they are about.
var quantityWords = []string{resource.ErrFormatWrong.Error(), resource.ErrNumeric.Error(), resource.ErrSuffix.Error()}

// nameQuantity puts the field before a complaint about a quantity, as
// in "spec.containers[0].resources.limits[cpu]: Invalid value: "1x": …".
// Other errors, and fields that are not found, leave it as it is.
func nameQuantity(err error, data []byte, types []reflect.Type) error {
	if !slices.ContainsFunc(quantityWords, func(words string) bool { return strings.Contains(err.Error(), words) }) {
		return err
	}
	var body map[string]any
	if yaml.Unmarshal(data, &body) != nil {
		return err // protobuf, whose senders have checked
	}
	for _, t := range types {
		if kind := nearfields.Element(t); kind.Name() == body["kind"] {
			if path, value := badQuantity(kind, body, ""); path != "" {
				return fmt.Errorf("%s: Invalid value: %q: %w", path, fmt.Sprint(value), err)
			}
		}
	}
	return err
}

// badQuantity finds the first quantity in value, which is to become a t, that
// is none.
func badQuantity(t reflect.Type, value any, path string) (string, any) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == reflect.TypeFor[resource.Quantity]() {
		if _, err := resource.ParseQuantity(fmt.Sprint(value)); err != nil && value != nil {
			return path, value
		}
		return "", nil
	}
	switch value := value.(type) {
	case []any:
		if t.Kind() != reflect.Slice {
			break
		}
		for i, item := range value {
			if bad, what := badQuantity(t.Elem(), item, fmt.Sprintf("%s[%d]", path, i)); bad != "" {
				return bad, what
			}
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			inner, below := nearfields.Step(t, key), strings.TrimPrefix(path+"."+key, ".")
			if inner == nil {
				continue
			}
			if t.Kind() == reflect.Map {
				below = path + "[" + key + "]"
			}
			if bad, what := badQuantity(inner, value[key], below); bad != "" {
				return bad, what
			}
		}
	}
	return "", nil
}
