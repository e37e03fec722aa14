package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// listing returns the exported API of the module whose root is fsys: sorted
// lines, each with its package in front, so that a line tells all by itself.
// The files of all systems count together.
func listing(fsys fs.FS) ([]string, error) {
	var lines []string
	err := fs.WalkDir(fsys, ".", func(dir string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		if dir != "." && !public(fsys, dir) {
			return fs.SkipDir
		}
		pkg, err := parse(fsys, dir)
		if err != nil {
			return err
		}
		for _, line := range pkg.lines() {
			lines = append(lines, pkg.label+": "+line)
		}
		return nil
	})
	slices.Sort(lines)
	return slices.Compact(lines), err
}

// public reports whether users can import packages in dir or below it.
// Examples are programs, and a nested module is not part of this one.
func public(fsys fs.FS, dir string) bool {
	base := path.Base(dir)
	if slices.Contains([]string{"internal", "testdata", "examples", "node_modules"}, base) || strings.ContainsAny(base[:1], "._") {
		return false
	}
	_, err := fs.Stat(fsys, path.Join(dir, "go.mod"))
	return err != nil
}

// apiPackage is the package in one folder.
type apiPackage struct {
	label string // the folder; for the root, the package's name
	files []*ast.File
}

func parse(fsys fs.FS, dir string) (apiPackage, error) {
	pkg := apiPackage{label: dir}
	names, err := fs.Glob(fsys, path.Join(dir, "*.go"))
	if err != nil {
		return pkg, err
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		src, err := fs.ReadFile(fsys, name)
		if err != nil {
			return pkg, err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, src, parser.SkipObjectResolution)
		if err != nil {
			return pkg, err
		}
		if file.Name.Name == "main" {
			continue
		}
		if dir == "." {
			pkg.label = file.Name.Name
		}
		pkg.files = append(pkg.files, file)
	}
	return pkg, nil
}

// lines returns the exported declarations.
func (p apiPackage) lines() []string {
	visible := p.visibleTypes()
	var lines []string
	for _, file := range p.files {
		for _, decl := range file.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				lines = append(lines, funcLine(decl, visible)...)
			case *ast.GenDecl:
				switch decl.Tok {
				case token.CONST:
					lines = append(lines, constLines(decl)...)
				case token.VAR:
					lines = append(lines, varLines(decl)...)
				case token.TYPE:
					for _, spec := range decl.Specs {
						if spec := spec.(*ast.TypeSpec); visible[spec.Name.Name] {
							lines = append(lines, typeLines(spec)...)
						}
					}
				}
			}
		}
	}
	return lines
}

// visibleTypes returns the exported types, and the unexported ones that they
// embed: their fields and methods are promoted to the user.
func (p apiPackage) visibleTypes() map[string]bool {
	specs := make(map[string]*ast.TypeSpec)
	for _, file := range p.files {
		for _, decl := range file.Decls {
			if decl, ok := decl.(*ast.GenDecl); ok && decl.Tok == token.TYPE {
				for _, spec := range decl.Specs {
					spec := spec.(*ast.TypeSpec)
					specs[spec.Name.Name] = spec
				}
			}
		}
	}
	visible := make(map[string]bool)
	var see func(name string)
	see = func(name string) {
		spec := specs[name]
		if spec == nil || visible[name] {
			return
		}
		visible[name] = true
		for _, field := range fieldsOf(spec.Type) {
			if len(field.Names) == 0 {
				see(baseName(field.Type))
			}
		}
	}
	for name := range specs {
		if ast.IsExported(name) {
			see(name)
		}
	}
	return visible
}

// fieldsOf returns the fields of a struct, the elements of an interface, or
// nothing.
func fieldsOf(typ ast.Expr) []*ast.Field {
	switch typ := typ.(type) {
	case *ast.StructType:
		return typ.Fields.List
	case *ast.InterfaceType:
		return typ.Methods.List
	}
	return nil
}

// baseName is the name of a receiver's or an embedded field's type: T for *T
// and for T[K], nothing for a type of another package.
func baseName(typ ast.Expr) string {
	switch typ := typ.(type) {
	case *ast.Ident:
		return typ.Name
	case *ast.StarExpr:
		return baseName(typ.X)
	case *ast.ParenExpr:
		return baseName(typ.X)
	case *ast.IndexExpr:
		return baseName(typ.X)
	case *ast.IndexListExpr:
		return baseName(typ.X)
	}
	return ""
}
