package app

import "strings"

// nodeName makes a host name into a valid Node name: lower case letters,
// digits, '-' and '.', beginning and ending with a letter or digit
// (RFC 1123). A host name with nothing usable in it becomes "node".
func nodeName(hostname string) string {
	valid := func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '.':
			return r
		default:
			return '-'
		}
	}
	name := strings.Trim(strings.Map(valid, strings.ToLower(hostname)), "-.")
	if len(name) > 63 {
		name = strings.TrimRight(name[:63], "-.")
	}
	if name == "" {
		return "node"
	}
	return name
}
