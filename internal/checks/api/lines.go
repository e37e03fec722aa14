package main

import (
	"bytes"
	"go/ast"
	"go/printer"
	"go/token"
	"strconv"
	"strings"
)

// funcLine returns the line of an exported function, or of an exported method
// of a visible type.
func funcLine(decl *ast.FuncDecl, visible map[string]bool) []string {
	if !decl.Name.IsExported() {
		return nil
	}
	if decl.Recv == nil {
		return []string{render(&ast.FuncDecl{Name: decl.Name, Type: decl.Type})}
	}
	typ := decl.Recv.List[0].Type
	if !visible[baseName(typ)] {
		return nil
	}
	// Without the receiver's name, which is nobody's business.
	recv := &ast.FieldList{List: []*ast.Field{{Type: typ}}}
	return []string{render(&ast.FuncDecl{Recv: recv, Name: decl.Name, Type: decl.Type})}
}

// constLines returns a line per exported constant, with its value: what a
// constant left out because the one above it says the same is filled in.
func constLines(decl *ast.GenDecl) []string {
	var lines []string
	var typ ast.Expr
	var values []ast.Expr
	for iota, spec := range decl.Specs {
		spec := spec.(*ast.ValueSpec)
		if spec.Type != nil || len(spec.Values) > 0 {
			typ, values = spec.Type, spec.Values
		}
		for i, name := range spec.Names {
			if name.IsExported() && i < len(values) {
				lines = append(lines, "const "+name.Name+typeSuffix(typ)+" = "+renderAt(iota, values[i]))
			}
		}
	}
	return lines
}

// renderAt prints a constant expression with iota's value in place of iota.
func renderAt(iota int, value ast.Expr) string {
	var idents []*ast.Ident
	ast.Inspect(value, func(n ast.Node) bool {
		if ident, ok := n.(*ast.Ident); ok && ident.Name == "iota" {
			idents = append(idents, ident)
		}
		return true
	})
	for _, ident := range idents {
		ident.Name = strconv.Itoa(iota)
	}
	text := render(value)
	for _, ident := range idents {
		ident.Name = "iota" // the next constant may share the expression
	}
	return text
}

// varLines returns a line per exported variable. A variable without a type is
// shown with what makes its value, without the arguments.
func varLines(decl *ast.GenDecl) []string {
	var lines []string
	for _, spec := range decl.Specs {
		spec := spec.(*ast.ValueSpec)
		for i, name := range spec.Names {
			if !name.IsExported() {
				continue
			}
			line := "var " + name.Name + typeSuffix(spec.Type)
			if spec.Type == nil {
				line += " = " + render(outline(spec.Values[min(i, len(spec.Values)-1)]))
			}
			lines = append(lines, line)
		}
	}
	return lines
}

// outline reduces a value to what tells its type.
func outline(value ast.Expr) ast.Expr {
	switch value := value.(type) {
	case *ast.CallExpr:
		return &ast.CallExpr{Fun: outline(value.Fun), Args: []ast.Expr{ast.NewIdent("...")}}
	case *ast.CompositeLit:
		return &ast.CompositeLit{Type: value.Type, Elts: []ast.Expr{ast.NewIdent("...")}}
	case *ast.UnaryExpr:
		return &ast.UnaryExpr{Op: value.Op, X: outline(value.X)}
	case *ast.FuncLit:
		return value.Type
	}
	return value
}

// typeLines returns the line of a type, and one for each exported field or
// each element of an interface. Unexported methods of an interface count:
// they decide who can implement it.
func typeLines(spec *ast.TypeSpec) []string {
	head := "type " + spec.Name.Name + typeParams(spec)
	if spec.Assign.IsValid() {
		return []string{head + " = " + render(spec.Type)}
	}
	var kind string
	switch spec.Type.(type) {
	case *ast.StructType:
		kind = " struct"
	case *ast.InterfaceType:
		kind = " interface"
	default:
		return []string{head + " " + render(spec.Type)}
	}
	lines := []string{head + kind}
	for _, field := range fieldsOf(spec.Type) {
		for _, member := range members(field, kind == " struct") {
			lines = append(lines, head+kind+", "+member)
		}
	}
	return lines
}

// members returns what one field of a struct, or element of an interface,
// declares. What is embedded stays as it is written.
func members(field *ast.Field, inStruct bool) []string {
	var tag string
	if field.Tag != nil {
		tag = " " + field.Tag.Value
	}
	if len(field.Names) == 0 {
		return []string{render(field.Type) + tag}
	}
	var list []string
	for _, name := range field.Names {
		switch {
		case !inStruct:
			list = append(list, name.Name+strings.TrimPrefix(render(field.Type), "func"))
		case name.IsExported():
			list = append(list, name.Name+typeSuffix(field.Type)+tag)
		}
	}
	return list
}

func typeParams(spec *ast.TypeSpec) string {
	if spec.TypeParams == nil {
		return ""
	}
	// The printer takes no type parameters alone: print them on a function.
	text := render(&ast.FuncDecl{
		Name: ast.NewIdent("f"),
		Type: &ast.FuncType{TypeParams: spec.TypeParams, Params: &ast.FieldList{}},
	})
	return strings.TrimSuffix(strings.TrimPrefix(text, "func f"), "()")
}

func typeSuffix(typ ast.Expr) string {
	if typ == nil {
		return ""
	}
	return " " + render(typ)
}

// render prints a node on one line, whatever its layout in the source: the
// printer, given an empty file set, sees no line breaks, and those it makes
// itself are joined.
func render(node any) string {
	var b bytes.Buffer
	if err := printer.Fprint(&b, token.NewFileSet(), node); err != nil {
		panic(err) // only an unknown type of node can do this
	}
	text := b.String()
	if !strings.Contains(text, "\n") {
		return text
	}
	var line strings.Builder
	for part := range strings.SplitSeq(text, "\n") {
		part = strings.Join(strings.Fields(part), " ")
		switch soFar := line.String(); {
		case soFar == "":
		case strings.HasSuffix(soFar, "{") || strings.HasPrefix(part, "}"):
			line.WriteByte(' ')
		default:
			line.WriteString("; ")
		}
		line.WriteString(part)
	}
	return line.String()
}
