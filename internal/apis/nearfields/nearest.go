package nearfields

import (
	"reflect"
	"strings"
)

// nearest returns the field of root's type that a path with a misspelt last
// segment probably means, and how far the two spellings are apart; "" if there
// is none near. The path is one as in "spec.containers[0].imagee".
func nearest(root reflect.Type, path string) (string, int) {
	segments := split(path)
	if len(segments) == 0 {
		return "", 0
	}
	owner := root
	for _, segment := range segments[:len(segments)-1] {
		if owner = Step(owner, segment); owner == nil {
			return "", 0
		}
	}
	owner = Element(owner)
	if owner.Kind() != reflect.Struct {
		return "", 0
	}
	return closest(fieldsOf(owner), segments[len(segments)-1])
}

// split cuts a path at its dots, but not inside of brackets, and drops the
// brackets.
func split(path string) []string {
	var segments []string
	var current strings.Builder
	depth := 0
	for _, r := range strings.TrimPrefix(path, ".") {
		switch {
		case r == '[':
			depth++
		case r == ']':
			depth--
		case depth > 0:
		case r == '.':
			segments = append(segments, current.String())
			current.Reset()
		default:
			current.WriteRune(r)
		}
	}
	return append(segments, current.String())
}

// Step goes into a field, or into a map's values; nil if there is no such
// field.
func Step(owner reflect.Type, segment string) reflect.Type {
	owner = Element(owner)
	switch owner.Kind() {
	case reflect.Map:
		return owner.Elem()
	case reflect.Struct:
		return fieldsOf(owner)[segment]
	default:
		return nil
	}
}

// Element looks through pointers and lists.
func Element(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Array {
		t = t.Elem()
	}
	return t
}

// fieldsOf lists a struct's fields by their JSON names, those of inlined
// structs among them.
func fieldsOf(owner reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for field := range owner.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case name == "-" || !field.IsExported():
		case name != "":
			fields[name] = field.Type
		case field.Anonymous || strings.Contains(options, "inline"):
			if inlined := Element(field.Type); inlined.Kind() == reflect.Struct {
				for inner, innerType := range fieldsOf(inlined) {
					fields[inner] = innerType
				}
			}
		}
	}
	return fields
}

// closest returns the name that takes the fewest edits to become wanted, if
// that is at most a third of its length. Of two equally near the first by the
// alphabet is taken.
func closest(fields map[string]reflect.Type, wanted string) (string, int) {
	limit := max(1, len(wanted)/3)
	best, bestDistance := "", limit+1
	for name := range fields {
		d := distance(strings.ToLower(wanted), strings.ToLower(name))
		if d < bestDistance || d == bestDistance && best != "" && name < best {
			best, bestDistance = name, d
		}
	}
	return best, bestDistance
}

// distance counts the insertions, deletions, substitutions and swaps of
// neighbours that make b of a.
func distance(a, b string) int {
	// before, above and current are the last rows of the usual table.
	before, above, current := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		current[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			current[j] = min(above[j]+1, current[j-1]+1, above[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				current[j] = min(current[j], before[j-2]+1)
			}
		}
		before, above, current = above, current, before
	}
	return above[len(b)]
}
