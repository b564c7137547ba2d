package server_test

import (
	"context"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/admin"
	"github.com/zerobus-go/zerobus/server/internal/rest"
)

// examples are the programs in examples/: how many rows each leaves in its table, and what its last line says.
var examples = map[string]struct {
	rows    int64
	summary string
}{
	"quickstart":      {100, "100 records are durable"},
	"blocking/json":   {100, "100 records in "},
	"blocking/proto":  {100, "100 records in "},
	"pipelined/json":  {100_000, "100000 records in "},
	"pipelined/proto": {100_000, "100000 records in "},
	"batches":         {100_000, "100 batches of 1000 records in "},
	"described":       {1_000, "1000 records in "},
	"headers":         {100, "100 records in "},
	"unacked":         {19, "19 of 20 records are durable, 1 mended, 1 dropped, on 3 streams in "},
	"reject":          {997, "997 of 1000 records are durable, 3 were refused, in "},
	"resume":          {200, "200 lines are durable"},
	"metrics":         {10_000, "10000 of 10000 records are durable, in "},
}

// buildExamples builds all of them and returns the programs by their directories.
func buildExamples(t *testing.T) map[string]string {
	t.Helper()
	root := filepath.Join("..", "examples")
	bin := t.TempDir()
	programs := map[string]string{}
	together := map[string][]string{} // what has the same parent, and so no name twice
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "main.go" {
			return err
		}
		rel, err := filepath.Rel(root, filepath.Dir(file))
		if err != nil {
			return err
		}
		name := filepath.ToSlash(rel)
		parent := path.Dir(name)
		together[parent] = append(together[parent], "./examples/"+name)
		program := filepath.Join(bin, rel)
		if runtime.GOOS == "windows" {
			program += ".exe"
		}
		programs[name] = program
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for parent, packages := range together {
		dir := filepath.Join(bin, filepath.FromSlash(parent)) + string(filepath.Separator)
		cmd := exec.CommandContext(t.Context(), "go", append([]string{"build", "-ldflags", "-s -w", "-o", dir}, packages...)...)
		cmd.Dir = ".."
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", packages, err, out)
		}
	}
	return programs
}

// runExample runs a program with nothing but these variables in its environment.
func runExample(t *testing.T, program string, variables ...string) (output string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program)
	cmd.Env = append([]string{}, variables...)
	if runtime.GOOS == "windows" {
		cmd.Env = append(cmd.Env, "SYSTEMROOT="+os.Getenv("SYSTEMROOT")) // sockets do not work without it
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// committed counts the rows of a table of any size.
func (h *harness) committed(table string) int64 {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := h.Flush(ctx, table); err != nil {
		h.t.Fatal(err)
	}
	token, err := os.ReadFile(filepath.Join(h.DataDir(), "admin.token"))
	if err != nil {
		h.t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	detail, err := admin.NewClient(h.WorkspaceURL()+rest.AdminPath, strings.TrimSpace(string(token)), client).Describe(ctx, table)
	if err != nil {
		h.t.Fatal(err)
	}
	return detail.Rows
}

func TestExamples_RowsArrive(t *testing.T) {
	programs := buildExamples(t)
	h := start(t)
	for name := range programs {
		if _, ok := examples[name]; !ok {
			t.Errorf("the test does not know examples/%s", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(examples)) {
		want := examples[name]
		t.Run(name, func(t *testing.T) {
			program, ok := programs[name]
			if !ok {
				t.Fatal("there is no such program")
			}
			short := strings.ReplaceAll(name, "/", "_")
			table := "main.default." + short
			h.sql("CREATE TABLE " + table + " (device_name STRING, temp INT, humidity BIGINT) USING DELTA;")
			id, secret := h.principal(short, table)

			out, err := runExample(t, program,
				"ZEROBUS_SERVER_ENDPOINT="+h.GRPCEndpoint(),
				"DATABRICKS_WORKSPACE_URL="+h.WorkspaceURL(),
				"ZEROBUS_TABLE_NAME="+table,
				"DATABRICKS_CLIENT_ID="+id,
				"DATABRICKS_CLIENT_SECRET="+secret)
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			lines := strings.Split(strings.TrimSpace(out), "\n")
			if last := lines[len(lines)-1]; !strings.HasPrefix(last, want.summary) {
				t.Errorf("the last line is %q, want %q", last, want.summary)
			}
			if strings.Contains(out, secret) {
				t.Error("the output has the secret")
			}
			if rows := h.committed(table); rows != want.rows {
				t.Errorf("the table has %d rows, want %d", rows, want.rows)
			}
		})
	}

	// Without settings, or with those of a template, a program says what is missing and sends nothing.
	for name, program := range programs {
		out, err := runExample(t, program, "DATABRICKS_CLIENT_ID=<your client id>")
		if err == nil {
			t.Errorf("%s runs without settings", name)
		}
		for _, variable := range []string{"ZEROBUS_SERVER_ENDPOINT", "DATABRICKS_WORKSPACE_URL", "ZEROBUS_TABLE_NAME", "DATABRICKS_CLIENT_ID", "DATABRICKS_CLIENT_SECRET"} {
			if name != "quickstart" && !strings.Contains(out, variable) { // which is short, and shows the SDK's own error
				t.Errorf("%s does not say that %s is missing: %s", name, variable, out)
			}
		}
	}
}
