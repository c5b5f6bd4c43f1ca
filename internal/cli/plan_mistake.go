package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
)

// bareKey is a line that is a key without its colon.
var bareKey = regexp.MustCompile(`^(\s*(?:- )?)([A-Za-z][A-Za-z0-9]*)\s*$`)

// yamlMistake says what is wrong with a file that is no YAML, if it is what it
// most often is: a key lacks its colon, or a tab was used.
func yamlMistake(content []byte) (mistake string, known bool) {
	lines := strings.Split(string(content), "\n")
	for i, line := range lines {
		text := strings.TrimRight(line, "\r")
		if strings.HasPrefix(strings.TrimLeft(text, " "), "\t") {
			return fmt.Sprintf("line %d begins with a tab: YAML takes only spaces", i+1), true
		}
		match := bareKey.FindStringSubmatch(text)
		if match != nil && i+1 < len(lines) && indentOf(lines[i+1]) > indentOf(text) && strings.Contains(lines[i+1], ":") {
			return fmt.Sprintf("line %d: %q lacks its colon: write %s:", i+1, match[2], match[2]), true
		}
	}
	return "", false
}

// jsonMistake says which field has a value of the wrong type.
func jsonMistake(err error) string {
	var mistake *json.UnmarshalTypeError
	switch {
	case errors.As(err, &mistake) && mistake.Field == "":
		return fmt.Sprintf("this is a %s, not an object: begin with apiVersion:, kind: and metadata:", valueName(mistake.Value))
	case errors.As(err, &mistake):
		return typeMistake(mistake)
	default:
		return err.Error()
	}
}

// typeMistake says it of one field, and how a text that YAML takes for
// something else is written. The field may be the mapping that has it.
func typeMistake(mistake *json.UnmarshalTypeError) string {
	field, value := strings.TrimPrefix(mistake.Field, "ObjectMeta."), valueName(mistake.Value)
	isScalar := !strings.HasPrefix(mistake.Value, "array") && !strings.HasPrefix(mistake.Value, "object")
	if isScalar && mistake.Type.Kind() == reflect.String {
		return fmt.Sprintf(`%s: a %s stands where a string must; write it in quotes, as in "5" or "yes"`, field, value)
	}
	return fmt.Sprintf("%s is a %s: it must be a %s", field, value, kindName(mistake.Type))
}

// valueName is what a value of JSON is in YAML.
func valueName(value string) string {
	return strings.NewReplacer("array", "list", "object", "mapping (key: value)").Replace(value)
}

// kindName is what a Go type is in YAML.
func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return "mapping (key: value)"
	case reflect.Slice:
		return "list"
	case reflect.Int, reflect.Int32, reflect.Int64:
		return "whole number"
	default:
		return t.Kind().String()
	}
}

func indentOf(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }
