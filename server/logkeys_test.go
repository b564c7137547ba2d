package server

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// logMethods are those of *slog.Logger, with the number of arguments before the first key.
var logMethods = map[string]int{
	"Debug": 1, "Info": 1, "Warn": 1, "Error": 1, "DebugContext": 2, "InfoContext": 2, "WarnContext": 2, "ErrorContext": 2, "With": 0,
}

// logKeys finds the keys of log lines in a file, with their places.
func logKeys(fset *token.FileSet, f *ast.File) map[string]token.Position {
	keys := map[string]token.Position{}
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		method, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		before, ok := logMethods[method.Sel.Name]
		if pkg, isName := method.X.(*ast.Ident); isName && pkg.Name == "http" {
			ok = false
		}
		if !ok || len(call.Args) < before+2 {
			return true
		}
		for i := before; i < len(call.Args); i += 2 {
			if lit, ok := call.Args[i].(*ast.BasicLit); ok && lit.Kind == token.STRING {
				key, _ := strconv.Unquote(lit.Value)
				keys[key] = fset.Position(lit.Pos())
			}
		}
		return true
	})
	return keys
}

// The keys of log lines are those of the document, all of them and no others.
func TestLogs_KeysAreThoseOfTheDocument(t *testing.T) {
	found := map[string]token.Position{}
	fset := token.NewFileSet()
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{"blackbox", "testdata", "cmd"}, d.Name()):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(fset, file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		maps.Copy(found, logKeys(fset, f))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Logs\n")
	section, _, _ = strings.Cut(section, "\n## ")
	documented := map[string]bool{}
	for _, key := range []string{slog.TimeKey, slog.LevelKey, slog.MessageKey} { // the handler's
		found[key] = token.Position{}
	}
	quoted := regexp.MustCompile("`([a-z_]+)`")
	for line := range strings.Lines(section) {
		if cell, _, ok := strings.Cut(strings.TrimPrefix(line, "|"), "|"); ok && strings.HasPrefix(line, "|") {
			for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
				documented[m[1]] = true
			}
		}
	}
	for key, at := range found {
		if !documented[key] {
			t.Errorf("%s: the key %q is not in docs/operations.md", at, key)
		}
	}
	for key := range documented {
		if _, ok := found[key]; !ok {
			t.Errorf("docs/operations.md has the key %q, which no log line has", key)
		}
	}
	if len(found) < 10 {
		t.Errorf("only %d keys were found", len(found))
	}
}
