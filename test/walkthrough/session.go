package walkthrough

import (
	"fmt"
	"strings"
)

// step is one command of a session with what is around it.
type step struct {
	// comment is the text before the command, lines that begin with "#" or
	// are empty.
	comment string
	command string
	output  string
}

// parseSession reads a session. A line that ends with "\" goes on in the next.
func parseSession(text string) ([]step, string, error) {
	var steps []step
	var comment strings.Builder
	lines := strings.SplitAfter(text, "\n")
	for n := 0; n < len(lines); n++ {
		line := lines[n]
		switch {
		case strings.HasPrefix(line, "$ "):
			command := strings.TrimPrefix(line, "$ ")
			for strings.HasSuffix(strings.TrimRight(command, "\n"), "\\") && n+1 < len(lines) {
				n++
				command += lines[n]
			}
			steps = append(steps, step{comment: comment.String(), command: strings.TrimSuffix(command, "\n")})
			comment.Reset()
		case strings.HasPrefix(line, "#"), strings.TrimSpace(line) == "":
			comment.WriteString(line)
		case len(steps) == 0:
			return nil, "", fmt.Errorf("line %d: output before the first command", n+1)
		default:
			// An empty line or a "#" inside output belongs to the output.
			last := &steps[len(steps)-1]
			last.output += comment.String() + line
			comment.Reset()
		}
	}
	return steps, comment.String(), nil
}

// formatSession is the inverse of parseSession.
func formatSession(steps []step, rest string) string {
	var out strings.Builder
	for _, s := range steps {
		out.WriteString(s.comment)
		out.WriteString("$ " + s.command + "\n")
		out.WriteString(s.output)
	}
	out.WriteString(rest)
	return out.String()
}
