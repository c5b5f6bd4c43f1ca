package cli

import (
	"os"
	"regexp"
)

// notYAML is what kubectl says of a file that it cannot read.
var notYAML = regexp.MustCompile(`error parsing (.+?): error converting YAML to JSON: (.+)`)

// yamlHint says of a file that kubectl could not read what is wrong with it,
// such as `metadata` without its colon. It returns "" if that is not known.
func yamlHint(message string) string {
	match := notYAML.FindStringSubmatch(message)
	if match == nil {
		return ""
	}
	content, err := os.ReadFile(match[1])
	if err != nil {
		return ""
	}
	if mistake, known := yamlMistake(content); known {
		return match[1] + ": " + mistake + "\n"
	}
	return ""
}
