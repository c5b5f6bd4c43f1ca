package nearfields

import (
	"fmt"
	"reflect"
	"regexp"
)

// complaints are the sentences about unknown fields: of the decoders, and of
// server-side apply.
var complaints = regexp.MustCompile(`unknown field \\?"((?:[^"\\]|\\.)*?)\\?"( \(did you mean)?|(\.[^\s:]+): field not declared in schema( \(did you mean)?`)

// Suggest adds to every complaint in text the field that one of types offers
// nearest. What has a suggestion already stays as it is.
func Suggest(text string, types ...reflect.Type) string {
	return complaints.ReplaceAllStringFunc(text, func(complaint string) string {
		parts := complaints.FindStringSubmatch(complaint)
		path, answered := parts[1], parts[2]+parts[4] != ""
		if path == "" {
			path = parts[3]
		}
		if answered {
			return complaint
		}
		best, bestDistance := "", 0
		for _, t := range types {
			if name, d := nearest(t, path); name != "" && (best == "" || d < bestDistance || d == bestDistance && name < best) {
				best, bestDistance = name, d
			}
		}
		if best == "" {
			return complaint
		}
		return fmt.Sprintf("%s (did you mean %q?)", complaint, best)
	})
}
