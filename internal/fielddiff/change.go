package fielddiff

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// Op is what happened to a field.
type Op string

// What can happen to a field.
const (
	Added   Op = "added"
	Removed Op = "removed"
	Changed Op = "changed"
	// Reordered is a list with the same items in another order; From and To
	// are their names.
	Reordered Op = "reordered"
)

// Change is one field that differs.
type Change struct {
	// Path is relative to the values that were compared.
	Path string `json:"path"`
	Op   Op     `json:"op"`
	// From is empty if the field was added, To if it was removed.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

// String is one line: "  path: a -> b", "+ path: b" or "- path: a".
func (c Change) String() string {
	switch c.Op {
	case Added:
		return "+ " + withValue(c.Path, c.To)
	case Removed:
		return "- " + withValue(c.Path, c.From)
	case Reordered:
		return fmt.Sprintf("  %s: order %s -> %s", c.Path, c.From, c.To)
	default:
		return fmt.Sprintf("  %s: %s -> %s", c.Path, shown(c.From), shown(c.To))
	}
}

// withValue leaves the value out where the path says all.
func withValue(path, value string) string {
	if value == "" {
		return path
	}
	return path + ": " + shown(value)
}

// shown quotes a value that would be hard to read as it stands.
func shown(value string) string {
	odd := func(r rune) bool { return unicode.IsControl(r) || !unicode.IsPrint(r) }
	if value == "" || strings.ContainsFunc(value, odd) || strings.TrimSpace(value) != value || strings.Contains(value, " -> ") {
		return strconv.Quote(value)
	}
	return value
}

// Short is a change with the path as users say it: a template's or a
// Deployment's fields without the spec that all of them are in.
func Short(c Change) string {
	c.Path = strings.TrimPrefix(c.Path, "spec.")
	return c.String()
}
