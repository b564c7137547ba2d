package zerobus_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus"
)

// The Go blocks of the documents are regions of code that is compiled and run: of Example functions here, and of the
// programs in examples/, which server/examples_test.go runs. In Go a region is between two comments, in a document the
// block follows a comment with its name:
//
//	//snippet:name            <!-- snippet:name -->
//	…                         ```go
//	//snippet:end             …
//
// After a change of the code, go test -run TestSnippets -update . rewrites the blocks.
var update = flag.Bool("update", false, "rewrite the Go blocks of the documents")

// snippets are regions by their names, without what all of their lines are indented by.
type snippets map[string]string

// add reads the regions of a Go file.
func (s snippets) add(file, text string) (faults []string) {
	const begin, end = "//snippet:", "//snippet:end"
	name, first := "", 0
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		marker, ok := strings.CutPrefix(strings.TrimSpace(line), begin)
		switch {
		case !ok:
		case begin+marker == end && name == "":
			faults = append(faults, fmt.Sprintf("%s:%d: the end of no snippet", file, i+1))
		case begin+marker == end:
			s[name] = dedent(lines[first:i])
			name = ""
		case name != "":
			faults = append(faults, fmt.Sprintf("%s:%d: snippet %q begins within %q", file, i+1, marker, name))
		case s[marker] != "":
			faults = append(faults, fmt.Sprintf("%s:%d: there are two snippets %q", file, i+1, marker))
		default:
			name, first = marker, i+1
		}
	}
	if name != "" {
		faults = append(faults, fmt.Sprintf("%s: snippet %q does not end", file, name))
	}
	return faults
}

// dedent removes the tabs that all lines begin with, and empty lines around.
func dedent(lines []string) string {
	tabs := -1
	for _, line := range lines {
		if n := len(line) - len(strings.TrimLeft(line, "\t")); line != "" && (tabs < 0 || n < tabs) {
			tabs = n
		}
	}
	var b strings.Builder
	for _, line := range lines {
		if line != "" {
			b.WriteString(line[tabs:])
		}
		b.WriteByte('\n')
	}
	return strings.Trim(b.String(), "\n") + "\n"
}

var snippetName = regexp.MustCompile(`^<!-- snippet:(\S+) -->$`)

// compare compares the Go blocks of a document with the snippets. It returns the document with the blocks that should be
// there, and the names that it shows.
func (s snippets) compare(file, text string) (want string, shown, faults []string) {
	fault := func(line int, format string, args ...any) {
		faults = append(faults, fmt.Sprintf("%s:%d: %s", file, line+1, fmt.Sprintf(format, args...)))
	}
	var b strings.Builder
	lines := strings.SplitAfter(text, "\n")
	name := "" // of the comment before the present line, with nothing but empty lines between
	for i := 0; i < len(lines); i++ {
		b.WriteString(lines[i])
		line := strings.TrimSpace(lines[i])
		fence := line[:len(line)-len(strings.TrimLeft(line, "`~"))]
		if len(fence) < 3 {
			if m := snippetName.FindStringSubmatch(line); m != nil || line != "" {
				if name != "" {
					fault(i, "snippet %q is named, and no Go block follows", name)
				}
				name = ""
				if m != nil {
					name = m[1]
				}
			}
			continue
		}
		begin := i + 1
		for i++; i < len(lines) && strings.TrimSpace(lines[i]) != fence; i++ {
		}
		if i == len(lines) {
			fault(begin-1, "the block does not end")
			return text, shown, faults
		}
		block := strings.Join(lines[begin:i], "")
		switch language := strings.ToLower(strings.Trim(line, "`~")); {
		case language != "go" && language != "golang":
			if name != "" {
				fault(begin-1, "snippet %q is named, and the block is not Go", name)
			}
		case name == "":
			fault(begin-1, "a Go block without the name of its snippet before it")
		case s[name] == "":
			fault(begin-1, "there is no snippet %q", name)
		default:
			shown = append(shown, name)
			if block != s[name] {
				fault(begin, "the block differs from snippet %q; go test -run TestSnippets -update . rewrites it", name)
				block = s[name]
			}
		}
		b.WriteString(block)
		b.WriteString(lines[i])
		name = ""
	}
	if name != "" {
		fault(len(lines)-1, "snippet %q is named, and no Go block follows", name)
	}
	return b.String(), shown, faults
}

// filesIn returns the files below the root whose names end so, in order, of the directories that are given.
func filesIn(t *testing.T, suffix string, dirs ...string) (found []string) {
	t.Helper()
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() && dir == "." && file != "." {
				return filepath.SkipDir
			}
			if err == nil && strings.HasSuffix(file, suffix) {
				found = append(found, filepath.ToSlash(file))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

func readDocument(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(b), "\r\n", "\n")
}

func TestSnippets_DocumentsShowCodeThatRuns(t *testing.T) {
	all := snippets{}
	for _, file := range slices.Concat(filesIn(t, "_test.go", "."), filesIn(t, ".go", "examples")) {
		if file == "snippets_test.go" {
			continue // has markers that mark nothing
		}
		for _, fault := range all.add(file, readDocument(t, file)) {
			t.Error(fault)
		}
	}
	unused := maps.Clone(all)
	for _, file := range filesIn(t, ".md", ".", "docs", "examples") {
		text := readDocument(t, file)
		want, shown, faults := all.compare(file, text)
		for _, name := range shown {
			delete(unused, name)
		}
		if *update && want != text {
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
			_, _, faults = all.compare(file, want)
		}
		for _, fault := range faults {
			t.Error(fault)
		}
	}
	for name := range unused {
		t.Errorf("no document shows snippet %q", name)
	}
	if len(all) < 10 {
		t.Errorf("there are %d snippets only", len(all))
	}
}

func TestSnippets_TheCheckFindsFaults(t *testing.T) {
	good := snippets{}
	if faults := good.add("a.go", "func f() {\n\t//snippet:a\n\tif x {\n\n\t\ty()\n\t}\n\t//snippet:end\n}\n"); len(faults) > 0 {
		t.Fatal(faults)
	}
	const code = "if x {\n\n\ty()\n}\n"
	if good["a"] != code {
		t.Fatalf("the snippet is %q", good["a"])
	}
	for _, tt := range []struct{ name, text, fault string }{
		{"good", "text\n<!-- snippet:a -->\n\n```go\n" + code + "```\n\n```sh\nls\n```\n", ""},
		{"no name", "```go\n" + code + "```\n", "without the name"},
		{"no name, with another language between", "<!-- snippet:a -->\n```sh\n```\n```go\n" + code + "```\n", "not Go"},
		{"text between", "<!-- snippet:a -->\ntext\n```go\n" + code + "```\n", "no Go block follows"},
		{"unknown name", "<!-- snippet:b -->\n```go\n" + code + "```\n", `no snippet "b"`},
		{"other code", "<!-- snippet:a -->\n```go\nif x {\n}\n```\n", "differs"},
		{"spaces for tabs", "<!-- snippet:a -->\n```go\n" + strings.ReplaceAll(code, "\t", "    ") + "```\n", "differs"},
		{"indented", "<!-- snippet:a -->\n  ```go\n  if x {\n  ```\n", "differs"},
		{"no end", "<!-- snippet:a -->\n```go\n" + code, "does not end"},
		{"nothing follows", "<!-- snippet:a -->\n", "no Go block follows"},
		{"other fences", "~~~golang\n" + code + "~~~\n", "without the name"},
	} {
		want, _, faults := good.compare("a.md", tt.text)
		all := strings.Join(faults, "\n")
		if (tt.fault == "") != (all == "") || !strings.Contains(all, tt.fault) {
			t.Errorf("%s: faults %q", tt.name, faults)
		}
		if _, _, faults := good.compare("a.md", want); tt.fault == "differs" && len(faults) > 0 {
			t.Errorf("%s: the rewritten document has faults %q", tt.name, faults)
		}
	}
	for _, tt := range []struct{ text, fault string }{
		{"//snippet:end\n", "end of no"},
		{"//snippet:x\n", "does not end"},
		{"//snippet:x\n//snippet:y\n//snippet:end\n", "within"},
		{"//snippet:x\nx()\n//snippet:end\n//snippet:x\nx()\n//snippet:end\n", "two snippets"},
	} {
		if all := strings.Join(snippets{}.add("a.go", tt.text), "\n"); !strings.Contains(all, tt.fault) {
			t.Errorf("%q: faults %q", tt.text, all)
		}
	}
}

func TestSnippets_ReadmeShowsTheMessageOfTheExamples(t *testing.T) {
	file := readDocument(t, "examples/airquality/air_quality.proto")
	_, message, _ := strings.Cut(file, "\n") // the first line is a comment
	if !strings.Contains(readDocument(t, "README.md"), "```proto\n"+message+"```\n") {
		t.Error("the block of README.md differs from examples/airquality/air_quality.proto")
	}
}

// An example without an output is compiled and not run.
func TestSnippets_ExamplesRun(t *testing.T) {
	n := 0
	for _, file := range filesIn(t, "_test.go", ".") {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range doc.Examples(f) {
			n++
			if e.Output == "" && !e.EmptyOutput {
				t.Errorf("%s: Example%s has no output, so nobody runs it", file, e.Name)
			}
		}
	}
	if n == 0 {
		t.Error("no examples were found")
	}
}

var (
	linkPattern    = regexp.MustCompile(`\]\(([^)\s]*)\)`)
	headingPattern = regexp.MustCompile(`(?m)^#+ +(.*)$`)
	fencedPattern  = regexp.MustCompile("(?ms)^```.*?^```$")
)

// anchors are the anchors of a document's headings, as GitHub makes them.
func anchors(text string) map[string]bool {
	all := map[string]bool{}
	for _, m := range headingPattern.FindAllStringSubmatch(fencedPattern.ReplaceAllString(text, ""), -1) {
		anchor := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-', r == '_', 'a' <= r && r <= 'z', '0' <= r && r <= '9':
				return r
			}
			return -1
		}, strings.ToLower(m[1]))
		all[anchor] = true
	}
	return all
}

func TestSnippets_LinksLeadSomewhere(t *testing.T) {
	n := 0
	for _, file := range filesIn(t, ".md", ".", "docs", "examples") {
		text := readDocument(t, file)
		for _, m := range linkPattern.FindAllStringSubmatch(fencedPattern.ReplaceAllString(text, ""), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			n++
			there := file
			if target != "" {
				there = path.Join(path.Dir(file), target)
			}
			if _, err := os.Stat(there); err != nil {
				t.Errorf("%s: link to %s: %v", file, m[1], err)
			} else if anchor != "" && !anchors(readDocument(t, there))[anchor] {
				t.Errorf("%s: link to %s: %s has no such heading", file, m[1], there)
			}
		}
	}
	if n == 0 {
		t.Error("no links were found")
	}
}

// api is what a package exports: names, and for types the names of fields and methods.
type api map[string]map[string]bool

// options are the functions that make an Option or a StreamOption.
func readAPI(t *testing.T, dir string) (a api, options []string) {
	t.Helper()
	a = api{}
	add := func(name, member string) {
		if a[name] == nil {
			a[name] = map[string]bool{}
		}
		if member != "" {
			a[name][member] = true
		}
	}
	members := func(name string, list *ast.FieldList) {
		for _, field := range list.List {
			for _, id := range field.Names {
				add(name, id.Name)
			}
		}
	}
	for _, file := range filesIn(t, ".go", dir) {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv != nil {
					typ := d.Recv.List[0].Type
					if star, ok := typ.(*ast.StarExpr); ok {
						typ = star.X
					}
					if id, ok := typ.(*ast.Ident); ok {
						add(id.Name, d.Name.Name)
					}
					continue
				}
				add(d.Name.Name, "")
				if r := d.Type.Results; r != nil && len(r.List) == 1 && d.Name.IsExported() {
					if id, ok := r.List[0].Type.(*ast.Ident); ok && (id.Name == "Option" || id.Name == "StreamOption") {
						options = append(options, d.Name.Name)
					}
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch spec := spec.(type) {
					case *ast.ValueSpec:
						for _, id := range spec.Names {
							add(id.Name, "")
						}
					case *ast.TypeSpec:
						add(spec.Name.Name, "")
						switch typ := spec.Type.(type) {
						case *ast.StructType:
							members(spec.Name.Name, typ.Fields)
						case *ast.InterfaceType:
							members(spec.Name.Name, typ.Methods)
						}
					}
				}
			}
		}
	}
	return a, options
}

// tableRows returns the cells of the tables of a document, the header first; other lines are between them as nil.
func tableRows(text string) (all [][]string) {
	for line := range strings.Lines(fencedPattern.ReplaceAllString(text, "")) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			all = append(all, nil)
			continue
		}
		// A bar within a cell is written as \|.
		line = strings.ReplaceAll(strings.Trim(line, "|"), `\|`, "\x00")
		var cells []string
		for _, cell := range strings.Split(line, "|") {
			cells = append(cells, strings.TrimSpace(strings.ReplaceAll(cell, "\x00", "|")))
		}
		all = append(all, cells)
	}
	return all
}

var leadingName = regexp.MustCompile("^`([A-Za-z]+)")

func TestSnippets_ReadmeHasEveryOptionAndError(t *testing.T) {
	a, options := readAPI(t, ".")
	if len(options) < 20 {
		t.Fatalf("found the options %q only", options)
	}
	told := map[string]string{} // the second cell by the name in the first
	for _, cells := range tableRows(readDocument(t, "README.md")) {
		if len(cells) < 2 {
			continue
		}
		if m := leadingName.FindStringSubmatch(cells[0]); m != nil {
			told[m[1]] = cells[1]
		}
	}
	settings := reflect.ValueOf(zerobus.DefaultStreamSettings())
	for _, name := range options {
		cell, ok := told[name]
		if !ok {
			t.Errorf("no table of README.md has %s", name)
			continue
		}
		if f := settings.FieldByName(strings.TrimPrefix(name, "With")); f.IsValid() {
			if want := inWords(name, f); cell != want {
				t.Errorf("README.md says that the default of %s is %q; it is %q", name, cell, want)
			}
		}
	}
	for name := range a {
		if _, ok := told[name]; strings.HasPrefix(name, "Err") && name != "Error" && !ok {
			t.Errorf("no table of README.md has %s", name)
		}
	}
}

// inWords is a default as README.md writes it.
func inWords(name string, v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		if x < 0 {
			return strconv.FormatInt(int64(x), 10)
		}
		return fmt.Sprintf("%v s", x.Seconds())
	case int:
		if strings.HasSuffix(name, "Bytes") {
			return fmt.Sprintf("%v MiB", float64(x)/(1<<20))
		}
		if x >= 1000 {
			return fmt.Sprintf("%d,%03d", x/1000, x%1000)
		}
		return strconv.Itoa(x)
	case bool:
		return strconv.FormatBool(x)
	}
	if v.IsZero() {
		return "none"
	}
	return fmt.Sprint(v.Interface())
}

var (
	codePattern   = regexp.MustCompile("`([^`]+)`")
	namePattern   = regexp.MustCompile(`[A-Za-z_][A-Za-z_0-9]*(?:\.[A-Za-z_][A-Za-z_0-9]*)*`)
	prefixPattern = regexp.MustCompile(`^(With|Err|State[A-Z]|RecordType|Reason)`)
)

// missing returns which of the Go names in a cell do not exist, and how many it looked at.
func missing(cell string, packages map[string]api) (names []string, looked int) {
	has := func(a api, parts []string) bool {
		members, ok := a[parts[0]]
		return ok && (len(parts) == 1 || members[parts[1]])
	}
	for _, span := range codePattern.FindAllStringSubmatch(cell, -1) {
		for _, name := range namePattern.FindAllString(span[1], -1) {
			parts := strings.Split(name, ".")
			a, qualified := packages[parts[0]]
			switch own := packages["zerobus"]; {
			case qualified && len(parts) > 1:
				parts = parts[1:]
			case len(parts) > 1 && own[parts[0]] != nil, prefixPattern.MatchString(name):
				a = own
			default:
				continue
			}
			looked++
			if !has(a, parts[:min(len(parts), 2)]) {
				names = append(names, name)
			}
		}
	}
	return names, looked
}

func TestSnippets_PythonTableNamesWhatExists(t *testing.T) {
	own, _ := readAPI(t, ".")
	scripted, _ := readAPI(t, "zerobustest")
	packages := map[string]api{"zerobus": own, "zerobustest": scripted}

	for _, tt := range []struct {
		cell string
		want []string
	}{
		{"`zerobus.New`, `SDK.CreateStream(ctx, …)`, `WithRecovery(bool)`, `StreamSettings.MaxPause`, `context.Context`", nil},
		{"`zerobustest.Server.Validate`, `HeadersProvider.Headers`, `ErrAuth`, `StateFailed`", nil},
		{"`zerobus.Now`, `SDK.Create`, `WithoutRecovery`, `zerobustest.Server.Log.X`, `zerobustest.Client`", []string{"zerobus.Now", "SDK.Create", "WithoutRecovery", "zerobustest.Client"}},
	} {
		if got, _ := missing(tt.cell, packages); !slices.Equal(got, tt.want) {
			t.Errorf("%s: missing %q, want %q", tt.cell, got, tt.want)
		}
	}

	looked, next := 0, 1
	column, numbered := -1, false
	for _, cells := range tableRows(readDocument(t, "docs/python.md")) {
		switch {
		case cells == nil:
			column, numbered = -1, false
			continue
		case column < 0:
			if column = slices.IndexFunc(cells, func(c string) bool { return c == "Go" || c == "Here" }); column < 0 {
				t.Fatalf("the table %q has no column Go or Here", cells)
			}
			numbered = cells[0] == "#"
			continue
		case strings.Trim(strings.Join(cells, ""), "-: ") == "":
			continue
		case column >= len(cells):
			t.Errorf("the row %q is short", cells)
			continue
		}
		names, n := missing(cells[column], packages)
		looked += n
		for _, name := range names {
			t.Errorf("%s: there is no %s", cells[0], name)
		}
		if numbered {
			if cells[0] != strconv.Itoa(next) {
				t.Errorf("point %s stands where point %d should be", cells[0], next)
			}
			next++
		}
	}
	if next != 103 {
		t.Errorf("the table has %d points, not 102", next-1)
	}
	if looked < 100 {
		t.Errorf("the tables have %d Go names only", looked)
	}
}
