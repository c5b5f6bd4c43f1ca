package fielddiff

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
)

// Of returns how to differs from from, in the order of the type's fields.
func Of[T any](from, to T) []Change {
	var d differ
	d.compare("", field{}, reflect.ValueOf(&from).Elem(), reflect.ValueOf(&to).Elem())
	return d.changes
}

// differ collects changes.
type differ struct {
	changes []Change
}

// field is what the struct tags say of the value compared.
type field struct {
	mergeKey string
}

// compare walks two values of the same type.
func (d *differ) compare(path string, f field, from, to reflect.Value) {
	switch hasFrom, hasTo := isSet(from), isSet(to); {
	case !hasFrom && !hasTo:
		return
	case !hasFrom:
		d.whole(path, f, to, Added)
		return
	case !hasTo:
		d.whole(path, f, from, Removed)
		return
	}
	from, to = target(from), target(to)
	switch {
	case equality.Semantic.DeepEqual(from.Interface(), to.Interface()):
	case isLeaf(from.Type()):
		d.changes = append(d.changes, Change{path, Changed, text(from), text(to)})
	case from.Kind() == reflect.Struct:
		for _, member := range members(from.Type()) {
			d.compare(join(path, member.name), member.field, from.FieldByIndex(member.index), to.FieldByIndex(member.index))
		}
	case from.Kind() == reflect.Map:
		for _, key := range keysOf(from, to) {
			d.compare(fmt.Sprintf("%s[%s]", path, key), field{}, from.MapIndex(key), to.MapIndex(key))
		}
	default:
		d.compareLists(path, f, from, to)
	}
}

// whole notes every field of a value that is only there on one side.
func (d *differ) whole(path string, f field, value reflect.Value, op Op) {
	if !isSet(value) {
		return
	}
	// An empty struct says something where it could have been left out, as in
	// emptyDir: {}, or is an item of a list.
	tells := value.Kind() == reflect.Pointer || f.mergeKey != ""
	value = target(value)
	switch {
	case isLeaf(value.Type()):
		d.note(path, text(value), op)
	case value.Kind() == reflect.Struct:
		before := len(d.changes)
		for _, member := range members(value.Type()) {
			// The key of a list's item is in its path.
			if member.name != f.mergeKey {
				d.whole(join(path, member.name), member.field, value.FieldByIndex(member.index), op)
			}
		}
		if tells && len(d.changes) == before {
			d.note(path, "", op)
		}
	case value.Kind() == reflect.Map:
		for _, key := range keysOf(value) {
			d.whole(fmt.Sprintf("%s[%s]", path, key), field{}, value.MapIndex(key), op)
		}
	default:
		if !isKey(value, f.mergeKey) {
			f.mergeKey = ""
		}
		for i, name := range names(value, f.mergeKey) {
			d.whole(fmt.Sprintf("%s[%s]", path, name), f, value.Index(i), op)
		}
	}
}

func (d *differ) note(path, value string, op Op) {
	change := Change{Path: path, Op: op, To: value}
	if op == Removed {
		change.From, change.To = value, ""
	}
	d.changes = append(d.changes, change)
}

// compareLists pairs the items of two lists by their names.
func (d *differ) compareLists(path string, f field, from, to reflect.Value) {
	if !isKey(from, f.mergeKey) || !isKey(to, f.mergeKey) {
		f.mergeKey = ""
	}
	namesFrom, namesTo := names(from, f.mergeKey), names(to, f.mergeKey)
	for i, name := range namesFrom {
		at := fmt.Sprintf("%s[%s]", path, name)
		if j := slices.Index(namesTo, name); j >= 0 {
			d.compare(at, f, from.Index(i), to.Index(j))
		} else {
			d.whole(at, f, from.Index(i), Removed)
		}
	}
	for j, name := range namesTo {
		if !slices.Contains(namesFrom, name) {
			d.whole(fmt.Sprintf("%s[%s]", path, name), f, to.Index(j), Added)
		}
	}
	keptFrom, keptTo := common(namesFrom, namesTo), common(namesTo, namesFrom)
	if !slices.Equal(keptFrom, keptTo) {
		d.changes = append(d.changes, Change{path, Reordered, strings.Join(keptFrom, ","), strings.Join(keptTo, ",")})
	}
}

// common are the names of a that are also in b, in a's order.
func common(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(name string) bool { return !slices.Contains(b, name) })
}

// keysOf are the keys of all maps, sorted.
func keysOf(all ...reflect.Value) []reflect.Value {
	keys := map[string]reflect.Value{}
	for _, m := range all {
		for _, key := range m.MapKeys() {
			keys[key.String()] = key
		}
	}
	var sorted []reflect.Value
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		sorted = append(sorted, keys[name])
	}
	return sorted
}

// text is a leaf as it stands in JSON, without the quotes of a string.
func text(value reflect.Value) string {
	encoded, err := json.Marshal(value.Interface())
	if err != nil {
		return fmt.Sprint(value.Interface())
	}
	var plain string
	if json.Unmarshal(encoded, &plain) == nil {
		return plain
	}
	return string(encoded)
}
