package zerobus_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// scenarios are the ids that docs/conformance.md must have: the last number of each group, and those that there are not.
var scenarios = []struct {
	group   string
	last    int
	missing []int
}{
	{"CR", 25, nil},
	{"IN", 20, []int{16}},
	{"AK", 14, []int{9}},
	{"FL", 15, []int{11}},
	{"CL", 17, nil},
	{"RC", 17, []int{8, 11}},
	{"CS", 15, []int{13}},
	{"TO", 11, []int{8}},
	{"CB", 15, []int{12}},
	{"BA", 14, nil},
	{"UN", 10, []int{8}},
	{"RE", 8, nil},
	{"BP", 8, []int{4}},
	{"CC", 6, []int{5}},
	{"AU", 16, []int{13}},
	{"PX", 8, nil},
	{"GP", 26, nil},
	{"UT", 10, nil},
	{"DT", 11, nil},
}

// scenarioIDs are the ids, such as CR-01, in order.
func scenarioIDs() (ids []string) {
	for _, s := range scenarios {
		for n := 1; n <= s.last; n++ {
			if !slices.Contains(s.missing, n) {
				ids = append(ids, fmt.Sprintf("%s-%02d", s.group, n))
			}
		}
	}
	return ids
}

var (
	idInName    = regexp.MustCompile(`_([A-Z]{2})([0-9]{2})(?:_|$)`)
	idInLiteral = regexp.MustCompile(`^([A-Z]{2})-([0-9]{2})\b`)
	testInTable = regexp.MustCompile("`((?:[a-z0-9/]+\\.)?Test[^`]*)`")
	idOfRow     = regexp.MustCompile(`^[A-Z]{2}-[0-9]{2}$`)
)

// idsOf are the ids that a test carries: in its name, and at the beginning of a text in it, as names of subtests are.
func idsOf(f *ast.FuncDecl) (ids []string) {
	name := f.Name.Name
	if strings.HasPrefix(name, "TestConformance_") {
		return nil // the texts of these tests are about ids
	}
	for m := idInName.FindStringSubmatchIndex(name); m != nil; m = idInName.FindStringSubmatchIndex(name) {
		ids = append(ids, name[m[2]:m[3]]+"-"+name[m[4]:m[5]])
		name = name[m[5]:] // the underscore behind it may be that before the next one
	}
	ast.Inspect(f.Body, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if text, err := strconv.Unquote(lit.Value); err == nil {
				if m := idInLiteral.FindStringSubmatch(text); m != nil {
					ids = append(ids, m[1]+"-"+m[2])
				}
			}
		}
		return true
	})
	return ids
}

// readTests returns the ids of all tests of the module below root and of the server, by their names as the page has them.
func readTests(root string) (map[string][]string, error) {
	tests := map[string][]string{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			_, err := os.Stat(filepath.Join(file, "go.mod"))
			if name := d.Name(); rel != "." && rel != "server" && (err == nil || name[0] == '.' || name[0] == '_' || name == "testdata") {
				return filepath.SkipDir // another module, or not Go's
			}
			return nil
		}
		if !strings.HasSuffix(rel, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range f.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Test") {
				name := fn.Name.Name
				if dir := path.Dir(rel); dir != "." {
					name = dir + "." + name
				}
				tests[name] = idsOf(fn)
			}
		}
		return nil
	})
	return tests, err
}

// checkTable returns what is wrong with the page, given the tests that there are.
func checkTable(page string, tests map[string][]string) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	rows := map[string][]string{} // the tests of each id
	for n, line := range strings.Split(page, "\n") {
		if !strings.HasPrefix(line, "|") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		var named []string
		for _, m := range testInTable.FindAllStringSubmatch(line, -1) {
			named = append(named, m[1])
			if _, ok := tests[m[1]]; !ok {
				fault("line %d: there is no test %s", n+1, m[1])
			}
		}
		id := cells[0]
		if !idOfRow.MatchString(id) {
			if len(cells) == 3 && len(named) == 0 && cells[0] != "fault" && strings.Trim(cells[0], "-") != "" {
				fault("line %d: a fault without a test", n+1)
			}
			continue
		}
		switch {
		case len(cells) != 4 || cells[1] == "":
			fault("line %d: %s has %d cells, or no scenario", n+1, id, len(cells))
		case cells[3] != "passes":
			fault("line %d: the result of %s is %q", n+1, id, cells[3])
		case rows[id] != nil:
			fault("line %d: %s is there twice", n+1, id)
		case len(named) == 0:
			fault("line %d: %s has no test", n+1, id)
		}
		rows[id] = append(rows[id], named...)
		for _, test := range named {
			if ids, ok := tests[test]; ok && !slices.Contains(ids, id) {
				fault("line %d: %s does not carry the id %s", n+1, test, id)
			}
		}
	}
	want := scenarioIDs()
	for _, id := range want {
		if _, ok := rows[id]; !ok {
			fault("%s has no row", id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(rows)) {
		if !slices.Contains(want, id) {
			fault("%s has a row and is no scenario", id)
		}
	}
	for _, test := range slices.Sorted(maps.Keys(tests)) {
		for _, id := range tests[test] {
			if !slices.Contains(rows[id], test) {
				fault("%s carries the id %s, whose row does not have it", test, id)
			}
		}
	}
	return faults
}

func TestConformance_TheTableIsTrue(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("docs", "conformance.md"))
	if err != nil {
		t.Fatal(err)
	}
	tests, err := readTests(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range checkTable(string(page), tests) {
		t.Error(fault)
	}
}

func TestConformance_TheCheckFindsFaults(t *testing.T) {
	tests := map[string][]string{"TestNone": nil}
	var page strings.Builder
	page.WriteString("| id | scenario | tests | result |\n|---|---|---|---|\n")
	for _, id := range scenarioIDs() {
		group, number, _ := strings.Cut(id, "-")
		name := "Test_" + group + number
		tests[name] = []string{id}
		fmt.Fprintf(&page, "| %s | x | `%s` | passes |\n", id, name)
	}
	good := page.String()
	if faults := checkTable(good, tests); len(faults) > 0 {
		t.Fatalf("a good page has the faults %q", faults)
	}
	for name, tt := range map[string]struct {
		old, new string
		want     string
	}{
		"a row is missing":      {"| RE-08 | x | `Test_RE08` | passes |\n", "", "RE-08 has no row"},
		"there is no such test": {"`Test_CR01`", "`Test_CR01`, `internal/x.TestGone`", "no test internal/x.TestGone"},
		"another one's test":    {"`Test_CR01`", "`Test_CR01`, `Test_CR02`", "Test_CR02 does not carry the id CR-01"},
		"a test without an id":  {"`Test_CR01`", "`Test_CR01`, `TestNone`", "TestNone does not carry the id CR-01"},
		"no test":               {"`Test_CR01`", "", "CR-01 has no test"},
		"twice":                 {"| CR-01 | x |", "| CR-01 | x | `Test_CR01` | passes |\n| CR-01 | x |", "CR-01 is there twice"},
		"it fails":              {"`Test_CR01` | passes", "`Test_CR01` | fails", `the result of CR-01 is "fails"`},
		"an id too many":        {"| CR-01 |", "| ZZ-01 | x | `TestNone` | passes |\n| CR-01 |", "ZZ-01 has a row"},
		"no scenario":           {"| CR-01 | x |", "| CR-01 | |", "no scenario"},
		"a fault without one":   {"| CR-01 |", "| a fault | Java | |\n| CR-01 |", "a fault without a test"},
	} {
		if faults := checkTable(strings.Replace(good, tt.old, tt.new, 1), tests); !slices.ContainsFunc(faults, func(f string) bool { return strings.Contains(f, tt.want) }) {
			t.Errorf("%s: faults %q; want %q", name, faults, tt.want)
		}
	}
	tests["TestForgotten_CR01"] = []string{"CR-01"}
	if faults := checkTable(good, tests); len(faults) != 1 || !strings.Contains(faults[0], "TestForgotten_CR01 carries the id CR-01") {
		t.Errorf("a test that is not in the table: faults %q", faults)
	}

	// The reader must see what it is to check.
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a_test.go":            "package a\nfunc TestA_CR01_CR02_X(t *testing.T) { t.Run(\"IN-03 three\", nil); _ = \"not AK-01\" }\nfunc helper() {}\n",
		"internal/b/b_test.go": "package b\nfunc TestB_UT10(t *testing.T) {}\n",
		"internal/b/b.go":      "package b\nfunc TestNot_UT01() {}\n",
		"other/go.mod":         "module other\n",
		"other/o_test.go":      "package o\nfunc TestO_UT02(t *testing.T) {}\n",
	} {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := readTests(dir)
	if want := "map[TestA_CR01_CR02_X:[CR-01 CR-02 IN-03] internal/b.TestB_UT10:[UT-10]]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("tests %v, %v; want %s", got, err, want)
	}
}
