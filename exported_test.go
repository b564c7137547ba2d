package zerobus_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every exported name of the packages that users see has a comment, and so has every exported field and method.
func TestDocs_EveryExportedNameIsDocumented(t *testing.T) {
	for _, dir := range []string{".", "schema", "zerobustest", "server"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		names, packageDoc := 0, false
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, file, src, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			packageDoc = packageDoc || f.Doc != nil
			for _, name := range undocumented(f) {
				t.Errorf("%s: %s has no comment", fset.Position(name.Pos()), name.Name)
			}
			names += len(f.Decls)
		}
		if !packageDoc || names == 0 {
			t.Errorf("package %s: package comment %v, %d declarations", dir, packageDoc, names)
		}
	}
}

// undocumented returns the exported names without a comment.
func undocumented(f *ast.File) (names []*ast.Ident) {
	check := func(name *ast.Ident, docs ...*ast.CommentGroup) {
		for _, d := range docs {
			if d != nil {
				return
			}
		}
		if name.IsExported() {
			names = append(names, name)
		}
	}
	for _, decl := range f.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil || ast.IsExported(receiver(d.Recv.List[0].Type)) {
				check(d.Name, d.Doc)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					check(s.Name, d.Doc, s.Doc)
					if !s.Name.IsExported() {
						continue
					}
					switch typ := s.Type.(type) {
					case *ast.StructType:
						names = append(names, undocumentedFields(typ.Fields)...)
					case *ast.InterfaceType:
						if len(typ.Methods.List) > 1 {
							names = append(names, undocumentedFields(typ.Methods)...)
						}
					}
				case *ast.ValueSpec:
					for _, name := range s.Names {
						check(name, d.Doc, s.Doc, s.Comment)
					}
				}
			}
		}
	}
	return names
}

// undocumentedFields returns the exported fields without a comment. A comment also counts for the fields that follow it
// without a blank line between, as "X and Y bound …" does.
func undocumentedFields(list *ast.FieldList) (names []*ast.Ident) {
	covered := false
	var end token.Pos
	for _, field := range list.List {
		if field.Doc != nil || field.Comment != nil {
			covered = true
		} else if end.IsValid() && field.Pos()-end > 4 { // more than a newline and tabs: a blank line
			covered = false
		}
		end = field.End()
		for _, name := range field.Names {
			if name.IsExported() && !covered {
				names = append(names, name)
			}
		}
	}
	return names
}

func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}
