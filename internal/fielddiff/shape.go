package fielddiff

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// member is a field of a struct, with those of embedded structs.
type member struct {
	name  string
	index []int
	field field
}

// members are the fields that are in JSON, in the order of the type.
func members(t reflect.Type) []member {
	var all []member
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || !f.IsExported() {
			continue
		}
		if strings.Contains(options, "inline") || f.Anonymous && name == "" {
			for _, inner := range members(f.Type) {
				inner.index = append([]int{i}, inner.index...)
				all = append(all, inner)
			}
			continue
		}
		all = append(all, member{name, []int{i}, field{f.Tag.Get("patchMergeKey")}})
	}
	return all
}

var marshaler = reflect.TypeFor[json.Marshaler]()

// isLeaf tells whether a value is shown as a whole: a scalar, a list of
// scalars, or a type with a form of its own, such as a quantity.
func isLeaf(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Map:
		return false
	case reflect.Slice:
		return isScalar(t.Elem())
	case reflect.Struct:
		return t.Implements(marshaler) || reflect.PointerTo(t).Implements(marshaler)
	default:
		return true
	}
}

func isScalar(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Struct, reflect.Map, reflect.Slice, reflect.Pointer:
		return false
	default:
		return true
	}
}

// target is what a pointer points at.
func target(v reflect.Value) reflect.Value {
	if v.IsValid() && v.Kind() == reflect.Pointer {
		return v.Elem()
	}
	return v
}

// isSet tells whether a value is there. What is empty is not; but a pointer to
// 0, false or nothing is there to say so.
func isSet(v reflect.Value) bool {
	if !v.IsValid() {
		return false
	}
	switch v.Kind() {
	case reflect.Pointer:
		return !v.IsNil()
	case reflect.Slice, reflect.Map:
		return v.Len() > 0
	case reflect.Struct:
		return !v.CanSet() || !isLeaf(v.Type()) || !v.IsZero()
	default:
		// What is zero in a struct is left out of JSON; in a map, whose values
		// cannot be set, it is not.
		return !v.IsZero() || !v.CanSet()
	}
}

// isKey tells whether a merge key names every item of a list, each otherwise.
func isKey(list reflect.Value, mergeKey string) bool {
	seen := map[string]bool{}
	for i := range list.Len() {
		name := keyOf(list.Index(i), mergeKey)
		if name == "" || seen[name] {
			return false
		}
		seen[name] = true
	}
	return mergeKey != ""
}

// names are what the items of a list are called: by the merge key or, without
// one, by place, as in "0".
func names(list reflect.Value, mergeKey string) []string {
	all := make([]string, list.Len())
	for i := range all {
		all[i] = strconv.Itoa(i)
		if mergeKey != "" {
			all[i] = keyOf(list.Index(i), mergeKey)
		}
	}
	return all
}

// keyOf is an item's merge key, empty if it has none.
func keyOf(item reflect.Value, mergeKey string) string {
	item = target(item)
	if !item.IsValid() || item.Kind() != reflect.Struct {
		return ""
	}
	for _, member := range members(item.Type()) {
		if member.name == mergeKey {
			return fmt.Sprint(item.FieldByIndex(member.index).Interface())
		}
	}
	return ""
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
