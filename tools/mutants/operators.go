package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"strings"
)

// swaps are the operators that are put in the place of another.
var swaps = map[token.Token][]token.Token{
	token.LSS: {token.LEQ, token.GEQ}, token.LEQ: {token.LSS, token.GTR},
	token.GTR: {token.GEQ, token.LEQ}, token.GEQ: {token.GTR, token.LSS},
	token.EQL: {token.NEQ}, token.NEQ: {token.EQL},
	token.LAND: {token.LOR}, token.LOR: {token.LAND},
	token.ADD: {token.SUB}, token.SUB: {token.ADD}, token.MUL: {token.ADD}, token.QUO: {token.MUL}, token.REM: {token.QUO},
}

// mutate looks for mistakes that can be made in a declaration.
func (s *source) mutate(declaration ast.Decl) {
	function, ok := declaration.(*ast.FuncDecl)
	if !ok || function.Body == nil {
		return
	}
	s.function = function.Name.Name
	fixed := map[ast.Stmt]bool{} // statements that belong to a header
	ast.Inspect(function.Body, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.ForStmt:
			fixed[node.Init], fixed[node.Post] = true, true
		case *ast.IfStmt:
			fixed[node.Init] = true
			s.condition("if ", node.Cond)
		case *ast.SwitchStmt:
			fixed[node.Init] = true
			s.cases(node)
		case *ast.BinaryExpr:
			s.binary(node)
		case *ast.UnaryExpr:
			s.negation(node)
		case *ast.CallExpr:
			s.extreme(node)
			s.earlier(node)
			s.ordering(node)
		case *ast.Ident:
			s.truth(node)
		case ast.Stmt:
			if !fixed[node] {
				s.statement(node)
			}
		}
		return true
	})
}

// condition makes an if, or a case, that always or never holds.
func (s *source) condition(word string, cond ast.Expr) {
	raw := s.raw(cond)
	always := s.add(cond, word+raw, word+"true")
	never := s.add(cond, word+raw, word+"false")
	s.wrap(cond, func(inner string) string {
		return fmt.Sprintf("(%s || !%s && (%s))", always, never, inner)
	})
}

// cases does the same with the cases of a switch. One over numbers takes each
// for the next.
func (s *source) cases(node *ast.SwitchStmt) {
	for _, clause := range node.Body.List {
		for _, expr := range clause.(*ast.CaseClause).List {
			kind := s.info.Types[expr]
			switch {
			case node.Tag == nil:
				s.condition("case ", expr)
			case isBasic(kind.Type, types.IsInteger):
				after := s.raw(expr) + " + 1"
				on := s.add(expr, "case "+s.raw(expr), "case "+after)
				s.wrap(expr, func(inner string) string { return s.pick(kind.Type, on, after, inner) })
			}
		}
	}
}

// earlier takes after for before, and lets times that are equal be either.
func (s *source) earlier(node *ast.CallExpr) {
	call, ok := node.Fun.(*ast.SelectorExpr)
	other := map[string]string{"After": "Before", "Before": "After"}
	if !ok || other[call.Sel.Name] == "" || types.TypeString(s.info.TypeOf(call.X), nil) != "time.Time" {
		return
	}
	arguments := strings.TrimPrefix(s.raw(node), s.raw(call))
	for _, after := range []string{
		fmt.Sprintf("!%s.%s%s", s.raw(call.X), other[call.Sel.Name], arguments), "!" + s.raw(node),
	} {
		on := s.add(node, s.raw(node), after)
		s.wrap(node, func(inner string) string {
			return fmt.Sprintf("(%s && (%s) || !%s && (%s))", on, after, on, inner)
		})
	}
}

// ordering turns a comparison that gives an order round, or leaves it out: each
// Compare, and each that cmp.Or combines.
func (s *source) ordering(node *ast.CallExpr) {
	call, ok := node.Fun.(*ast.SelectorExpr)
	if !ok || !isBasic(s.info.TypeOf(node), types.IsInteger) {
		return
	}
	var orders []ast.Expr
	switch {
	case call.Sel.Name == "Compare":
		orders = []ast.Expr{node}
	case s.raw(call) == "cmp.Or":
		for _, argument := range node.Args {
			if inner, ok := argument.(*ast.CallExpr); ok && strings.HasSuffix(s.raw(inner.Fun), "Compare") {
				continue // it has its own turn
			}
			orders = append(orders, argument)
		}
	}
	for _, order := range orders {
		for _, after := range []string{"-" + s.raw(order), "0"} {
			on := s.add(order, s.raw(order), after)
			s.wrap(order, func(inner string) string { return s.pick(s.info.TypeOf(order), on, after, inner) })
		}
	}
}

// binary puts another operator in the place of a comparison, a logical or an
// arithmetical one.
func (s *source) binary(node *ast.BinaryExpr) {
	kind := s.info.Types[node]
	if kind.Value != nil {
		return // a constant
	}
	boolean := isBasic(kind.Type, types.IsBoolean)
	if !boolean && !isBasic(kind.Type, types.IsInteger) {
		return
	}
	for _, op := range swaps[node.Op] {
		after := fmt.Sprintf("%s %s %s", s.raw(node.X), op, s.raw(node.Y))
		on := s.add(node, s.raw(node), after)
		if boolean {
			s.wrap(node, func(inner string) string {
				return fmt.Sprintf("(%s && (%s) || !%s && (%s))", on, after, on, inner)
			})
			continue
		}
		s.wrap(node, func(inner string) string { return s.pick(kind.Type, on, after, inner) })
	}
}

// pick is an expression with one of two values.
func (s *source) pick(kind types.Type, on, mutated, inner string) string {
	name := types.TypeString(kind, func(p *types.Package) string {
		if p.Name() == s.packageName() {
			return ""
		}
		return p.Name()
	})
	return fmt.Sprintf("func() %s { if %s { return %s }; return %s }()", name, on, mutated, inner)
}

func (s *source) packageName() string {
	for _, object := range s.info.Defs {
		if object != nil && object.Pkg() != nil {
			return object.Pkg().Name()
		}
	}
	return ""
}

// negation leaves a ! or a - out.
func (s *source) negation(node *ast.UnaryExpr) {
	kind := s.info.Types[node]
	if kind.Value != nil {
		return
	}
	after := s.raw(node.X)
	switch node.Op {
	case token.NOT:
		on := s.add(node, s.raw(node), after)
		s.wrap(node, func(inner string) string { return fmt.Sprintf("(%s != %s)", on, inner) })
	case token.SUB:
		on := s.add(node, s.raw(node), after)
		s.wrap(node, func(inner string) string { return s.pick(kind.Type, on, after, inner) })
	}
}

// extreme takes min for max and max for min.
func (s *source) extreme(node *ast.CallExpr) {
	name, ok := node.Fun.(*ast.Ident)
	other := map[string]string{"min": "max", "max": "min"}
	kind := s.info.Types[node]
	if !ok || other[name.Name] == "" || kind.Value != nil {
		return
	}
	if _, builtin := s.info.Uses[name].(*types.Builtin); !builtin {
		return
	}
	after := other[name.Name] + strings.TrimPrefix(s.raw(node), name.Name)
	on := s.add(node, s.raw(node), after)
	s.wrap(node, func(inner string) string { return s.pick(kind.Type, on, after, inner) })
}

// truth takes true for false and false for true.
func (s *source) truth(node *ast.Ident) {
	if s.info.Uses[node] == nil || s.info.Uses[node].Parent() != types.Universe {
		return
	}
	switch node.Name {
	case "true":
		on := s.add(node, "true", "false")
		s.wrap(node, func(string) string { return "!" + on })
	case "false":
		on := s.add(node, "false", "true")
		s.wrap(node, func(string) string { return on })
	}
}

// statement leaves a statement out, where the code still compiles without it,
// and counts the other way.
func (s *source) statement(node ast.Stmt) {
	switch node := node.(type) {
	case *ast.AssignStmt:
		if node.Tok == token.DEFINE {
			return
		}
		s.omit(node)
		for tok, other := range map[token.Token]string{token.ADD_ASSIGN: "-=", token.SUB_ASSIGN: "+="} {
			if node.Tok == tok && isBasic(s.info.TypeOf(node.Lhs[0]), types.IsInteger) {
				s.instead(node, fmt.Sprintf("%s %s %s", s.raw(node.Lhs[0]), other, s.raw(node.Rhs[0])))
			}
		}
	case *ast.IncDecStmt:
		s.omit(node)
		other := map[token.Token]string{token.INC: "--", token.DEC: "++"}[node.Tok]
		s.instead(node, s.raw(node.X)+other)
	case *ast.ExprStmt:
		s.omit(node)
	case *ast.BranchStmt:
		if node.Tok == token.CONTINUE || node.Tok == token.BREAK {
			s.omit(node)
		}
	}
}

func (s *source) omit(node ast.Stmt) {
	on := s.add(node, s.raw(node), "(nothing)")
	s.wrap(node, func(inner string) string { return fmt.Sprintf("if !%s { %s }", on, inner) })
}

func (s *source) instead(node ast.Stmt, after string) {
	on := s.add(node, s.raw(node), after)
	s.wrap(node, func(inner string) string { return fmt.Sprintf("if %s { %s } else { %s }", on, after, inner) })
}

func isBasic(kind types.Type, info types.BasicInfo) bool {
	if kind == nil {
		return false
	}
	basic, ok := kind.Underlying().(*types.Basic)
	return ok && basic.Info()&info != 0
}
