package zerobus_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const modulePath = "github.com/zerobus-go/zerobus"

// Modules that the SDK may be built from, tests included. It names the first two only; the others are theirs.
var (
	directModules   = []string{"google.golang.org/grpc", "google.golang.org/protobuf"}
	indirectModules = []string{"golang.org/x/net", "golang.org/x/sys", "golang.org/x/text", "google.golang.org/genproto/googleapis/rpc"}
)

// sdkImports is what each package of the SDK may import of our own packages. The stages 1 to 4 stand for themselves, but
// for the window, which keeps the ranges that batch makes.
var sdkImports = map[string][]string{
	".":                 {"internal/batch", "internal/window", "internal/conn", "internal/recovery", "internal/wire", "internal/oauth", "internal/dial", "internal/version", "internal/spin", "internal/rest", "internal/unity", "schema"},
	"internal/batch":    {"internal/wire"},
	"internal/window":   {"internal/batch"},
	"internal/conn":     {"internal/wire"},
	"internal/recovery": {},
	"internal/dial":     {"internal/wire"},
	"internal/oauth":    {"internal/rest"},
	"internal/rest":     {},
	"internal/unity":    {"internal/oauth", "internal/rest", "schema"},
	"internal/wire":     {},
	"internal/sqltext":  {},
	"internal/jsonscan": {},
	"internal/decimal":  {},
	"schema":            {"internal/sqltext", "internal/jsonscan", "internal/decimal"},
	"zerobustest":       {"internal/wire", "schema"},
	"internal/spin":     {},
	"internal/version":  {},
	"internal/leaktest": {},
	"proto":             {},
}

// serverRows is the server's order, from the top. A package may import packages of lower rows only: not of its own row,
// so stages do not import each other.
var serverRows = [][]string{
	{"server/cmd/zerobus", "server/internal/blackbox", "server/internal/commits", "server/internal/decodebench", "server/internal/hostile", "server/internal/property"},
	{"server", "."},
	{"server/internal/metrics"},
	{"server/internal/gateway", "server/internal/rest", "server/internal/admin"},
	{"server/internal/admission"},
	{"server/internal/table"},
	{"server/internal/wal/waltest", "server/internal/tablecheck"},
	{"server/internal/catalog", "server/internal/token", "server/internal/decode", "server/internal/wal", "server/internal/parquetfile", "server/internal/partition", "server/internal/delta", "server/internal/ledger"},
	{"server/internal/lake/laketest"},
	{"server/internal/lake", "server/internal/column"},
	{"server/internal/datadir", "server/internal/localca", "server/internal/protooracle", "server/internal/histogram", "server/internal/loadgen", "server/internal/variant"},
	{"internal/unity"},
	{"schema", "zerobustest"},
	{"internal/wire", "internal/dial", "internal/oauth", "internal/sqltext", "internal/jsonscan", "internal/decimal", "internal/version"},
}

// ownModules are directories with a go.mod of their own, and what only uses the SDK: nothing imports them.
var ownModules = []string{"tools", "interop", "bench", "examples"}

// checkImport returns why a package of ours may not import another one.
func checkImport(from, to string) error {
	if !strings.HasPrefix(from, "server") {
		allowed, ok := sdkImports[from]
		switch {
		case !ok:
			return fmt.Errorf("%s is not in sdkImports", from)
		case !slices.Contains(allowed, to):
			return fmt.Errorf("%s imports %s, which sdkImports does not allow", from, to)
		}
		return nil
	}
	row := func(pkg string) int {
		return slices.IndexFunc(serverRows, func(r []string) bool { return slices.Contains(r, pkg) })
	}
	switch f, t := row(from), row(to); {
	case f < 0:
		return fmt.Errorf("%s is not in serverRows", from)
	case t < 0:
		return fmt.Errorf("%s imports %s, which is not in serverRows", from, to)
	case t <= f:
		return fmt.Errorf("%s imports %s, which is not below it in serverRows", from, to)
	}
	return nil
}

// checkImports returns what is wrong with the imports of all packages, in order.
func checkImports(imports map[string][]string) (faults []string) {
	for from, tos := range imports {
		if !strings.HasPrefix(from, "server") && sdkImports[from] == nil {
			faults = append(faults, from+" is not in sdkImports")
			continue
		}
		for _, to := range tos {
			if err := checkImport(from, to); err != nil {
				faults = append(faults, err.Error())
			}
		}
	}
	slices.Sort(faults)
	return faults
}

// readImports returns the imports of our own packages by all packages below root, tests excluded.
func readImports(root string) (map[string][]string, error) {
	imports := map[string][]string{}
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
			if name := d.Name(); rel != "." && (name[0] == '.' || name[0] == '_' || name == "testdata" || slices.Contains(ownModules, rel)) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(rel, ".go") || strings.HasSuffix(rel, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := path.Dir(rel)
		if imports[pkg] == nil {
			imports[pkg] = []string{}
		}
		for _, spec := range f.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if name == modulePath {
				imports[pkg] = append(imports[pkg], ".")
			} else if own, ok := strings.CutPrefix(name, modulePath+"/"); ok {
				imports[pkg] = append(imports[pkg], own)
			}
		}
		return nil
	})
	return imports, err
}

func TestDependencies_ImportsRunDownwards(t *testing.T) {
	imports, err := readImports(".")
	if err != nil {
		t.Fatal(err)
	}
	if len(imports) < len(sdkImports) {
		t.Errorf("found %d packages only", len(imports))
	}
	for _, fault := range checkImports(imports) {
		t.Error(fault)
	}
}

func TestDependencies_TheCheckFindsViolations(t *testing.T) {
	for _, tt := range []struct {
		from, to string
		bad      bool
	}{
		{".", "internal/conn", false},
		{"internal/window", "internal/batch", false},
		{"internal/conn", "internal/window", true},
		{"internal/batch", ".", true},
		{"schema", ".", true},
		{"internal/new", "internal/wire", true},
		{"server/cmd/zerobus", ".", false},
		{"server", ".", true},
		{"server/internal/gateway", "server/internal/wal", false},
		{"server/internal/wal", "server/internal/decode", true},
		{"server/internal/column", "server/internal/table", true},
		{"server/internal/delta", "server/internal/lake", false},
		{"server/internal/new", "schema", true},
		{"server/internal/table", "server/internal/new", true},
	} {
		faults := checkImports(map[string][]string{tt.from: {tt.to}})
		if (len(faults) > 0) != tt.bad {
			t.Errorf("%s importing %s: faults %q", tt.from, tt.to, faults)
		}
	}

	// The reader must see what it is to check.
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("internal/conn/conn.go", "package conn\nimport (\n\t\"fmt\"\n\tw \""+modulePath+"/internal/window\"\n)\n")
	write("internal/conn/conn_test.go", "package conn\nimport _ \""+modulePath+"/internal/recovery\"\n")
	imports, err := readImports(dir)
	if err != nil {
		t.Fatal(err)
	}
	faults := checkImports(imports)
	if len(faults) != 1 || !strings.Contains(faults[0], "internal/conn imports internal/window") {
		t.Errorf("faults %q", faults)
	}
}

// listed is what we read of a package in the answer of go list.
type listed struct {
	ImportPath   string
	Standard     bool
	Module       *struct{ Path string }
	Imports      []string
	TestImports  []string
	XTestImports []string
}

// checkModules returns what is wrong with the packages that the SDK is built from.
func checkModules(pkgs []listed) (faults []string) {
	moduleOf := map[string]string{}
	for _, p := range pkgs {
		if p.Module != nil {
			moduleOf[p.ImportPath] = p.Module.Path
		}
	}
	for _, p := range pkgs {
		switch {
		case p.Standard:
		case p.Module == nil:
			if !strings.HasSuffix(p.ImportPath, ".test") { // the mains of tests
				faults = append(faults, p.ImportPath+" belongs to no module")
			}
		case p.Module.Path == modulePath:
			for _, to := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
				if slices.Contains(indirectModules, moduleOf[to]) {
					faults = append(faults, p.ImportPath+" imports "+to+", which is a dependency of gRPC and not ours")
				}
			}
		case !slices.Contains(directModules, p.Module.Path) && !slices.Contains(indirectModules, p.Module.Path):
			faults = append(faults, p.ImportPath+" is of the module "+p.Module.Path+", which is not allowed")
		}
	}
	return faults
}

func TestDependencies_OnlyGRPCAndProtobuf(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "-test", "-json=ImportPath,Standard,Module,Imports,TestImports,XTestImports", "./...")
	cmd.Env = append(os.Environ(), "GOWORK=off") // the module as its users see it
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var pkgs []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
	if !slices.ContainsFunc(pkgs, func(p listed) bool { return p.ImportPath == "google.golang.org/grpc" }) {
		t.Fatal("go list does not list gRPC")
	}
	for _, fault := range checkModules(pkgs) {
		t.Error(fault)
	}
}

func TestDependencies_TheModuleCheckFindsViolations(t *testing.T) {
	of := func(module string) *struct{ Path string } { return &struct{ Path string }{module} }
	for _, tt := range []struct {
		name string
		pkgs []listed
		bad  bool
	}{
		{"good", []listed{
			{ImportPath: "fmt", Standard: true},
			{ImportPath: modulePath, Module: of(modulePath), Imports: []string{"fmt", "google.golang.org/grpc"}},
			{ImportPath: "google.golang.org/grpc", Module: of("google.golang.org/grpc"), Imports: []string{"golang.org/x/net/http2"}},
			{ImportPath: "golang.org/x/net/http2", Module: of("golang.org/x/net")},
		}, false},
		{"another module", []listed{{ImportPath: "github.com/stretchr/testify/assert", Module: of("github.com/stretchr/testify")}}, true},
		{"the server's module", []listed{{ImportPath: modulePath + "/server", Module: of(modulePath + "/server")}}, true},
		{"an indirect one, directly", []listed{
			{ImportPath: modulePath, Module: of(modulePath), XTestImports: []string{"golang.org/x/net/http2"}},
			{ImportPath: "golang.org/x/net/http2", Module: of("golang.org/x/net")},
		}, true},
	} {
		if faults := checkModules(tt.pkgs); (len(faults) > 0) != tt.bad {
			t.Errorf("%s: faults %q", tt.name, faults)
		}
	}
}
