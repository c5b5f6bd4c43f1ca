package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// mutant is one mistake. It is on when the environment says its ID.
type mutant struct {
	ID int
	// File is the base name, Func the function it is in, Line from 1.
	File, Func string
	Line       int
	// Before and After are the code, on one line.
	Before, After string
}

// key names a mutant by what it does, so that it keeps its name when the code
// above it moves.
func (m mutant) key() string {
	return fmt.Sprintf("%s %s: %s -> %s", m.File, m.Func, m.Before, m.After)
}

// edit replaces one range of a file. Edits nest.
type edit struct {
	start, end int // byte offsets
	// wrap gets the range with the edits inside of it done.
	wrap func(inner string) string
}

// source is one file of the package, with its mistakes.
type source struct {
	fset    *token.FileSet
	info    *types.Info
	text    string
	name    string
	edits   []edit
	mutants *[]mutant
	// function is the one that is looked at.
	function string
}

func (s *source) offset(pos token.Pos) int { return s.fset.Position(pos).Offset }

func (s *source) raw(node ast.Node) string {
	return s.text[s.offset(node.Pos()):s.offset(node.End())]
}

// add registers a mutant and returns the expression that is true when it is on.
func (s *source) add(node ast.Node, before, after string) string {
	id := len(*s.mutants) + 1
	*s.mutants = append(*s.mutants, mutant{
		ID: id, File: s.name, Func: s.function, Line: s.fset.Position(node.Pos()).Line,
		Before: oneLine(before), After: oneLine(after),
	})
	return fmt.Sprintf("mutantOn(%d)", id)
}

func (s *source) wrap(node ast.Node, wrap func(inner string) string) {
	s.edits = append(s.edits, edit{s.offset(node.Pos()), s.offset(node.End()), wrap})
}

// render is the file with all edits done. Of two edits of one range, the one
// that was added first is outside.
func (s *source) render() string {
	slices.SortStableFunc(s.edits, func(a, b edit) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(b.end, a.end))
	})
	text, _ := s.renderRange(0, len(s.text), s.edits)
	return text
}

// renderRange does the edits that lie in a range, and returns the others.
func (s *source) renderRange(start, end int, edits []edit) (text string, rest []edit) {
	var out strings.Builder
	at := start
	for len(edits) > 0 && edits[0].end <= end {
		e := edits[0]
		out.WriteString(s.text[at:e.start])
		var inner string
		inner, edits = s.renderRange(e.start, e.end, edits[1:])
		out.WriteString(e.wrap(inner))
		at = e.end
	}
	out.WriteString(s.text[at:end])
	return out.String(), edits
}

func oneLine(code string) string { return strings.Join(strings.Fields(code), " ") }
