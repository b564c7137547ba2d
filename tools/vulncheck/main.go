// Vulncheck looks for known vulnerabilities that our code reaches, in all modules: takes Go's vulnerability database and the
// sources of the workspace, gives a line for each finding and one of figures, and exit code 1 when one must be mended.
//
// The database is that of vuln.go.dev; where only modules can be had, the newest version of the module golang.org/x/vulndb, which
// the former is made from. VULNDB names another one, such as file:///srv/vulndb.
//
// A finding in the standard library that the toolchain of go.work has mended is told and is no failure: releases are built with
// that toolchain, whatever this machine has.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"
)

const (
	website = "https://vuln.go.dev"
	module  = "golang.org/x/vulndb"
)

func main() {
	if err := run(os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "vulncheck:", err)
		os.Exit(1)
	}
}

// run scans the packages with the govulncheck beside this program.
func run(out io.Writer, packages []string) error {
	db, name, err := database()
	if err != nil {
		if os.Getenv("CI") == "" {
			fmt.Fprintln(out, "vulncheck: SKIPPED, no database can be had:", err)
			return nil
		}
		return err
	}
	toolchain, err := toolchain("go.work")
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var stderr bytes.Buffer
	cmd := exec.Command(filepath.Join(filepath.Dir(self), "govulncheck"), append([]string{"-format", "json", "-db", db}, packages...)...)
	cmd.Stderr = &stderr
	scan, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("govulncheck: %w: %s", err, stderr.Bytes())
	}
	r, err := read(bytes.NewReader(scan))
	if err != nil {
		return fmt.Errorf("read what govulncheck found: %w", err)
	}
	return r.write(out, name, toolchain)
}

// database returns the address of the first database that is there, and its name for people.
func database() (db, name string, err error) {
	if db := os.Getenv("VULNDB"); db != "" {
		return db, db, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, website+"/index/db.json", nil)
	if err != nil {
		return "", "", err
	}
	if resp, err := http.DefaultClient.Do(req); err == nil {
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return website, website, nil
		}
	}
	// Anywhere outside of a module: the version is no dependency of ours.
	cmd := exec.Command("go", "mod", "download", "-json", module+"@latest")
	cmd.Dir, cmd.Env = os.TempDir(), append(os.Environ(), "GOWORK=off", "GO111MODULE=on")
	b, err := cmd.Output()
	var got struct{ Version, Dir, Error string }
	if e := json.Unmarshal(b, &got); e != nil || got.Dir == "" {
		return "", "", fmt.Errorf("neither %s nor the module %s: %w", website, module, errors.Join(err, errors.New(got.Error)))
	}
	return "file://" + filepath.ToSlash(filepath.Join(got.Dir, "data", "osv")), module + "@" + got.Version, nil
}

// toolchain returns the version that go.work asks for, such as v1.26.11.
func toolchain(file string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	w, err := modfile.ParseWork(file, b, nil)
	if err != nil {
		return "", err
	}
	if w.Toolchain == nil {
		return "", fmt.Errorf("%s has no toolchain line", file)
	}
	return "v" + strings.TrimPrefix(w.Toolchain.Name, "go"), nil
}

// report is what a scan found, by id.
type report struct {
	goVersion string
	summary   map[string]string
	found     map[string]finding
}

// finding is one vulnerability whose code ours calls.
type finding struct {
	module, version, fixed string
	symbol, caller         string
}

// message is one of govulncheck's; https://pkg.go.dev/golang.org/x/vuln/internal/govulncheck describes them.
type message struct {
	Config *struct {
		GoVersion string `json:"go_version"`
	} `json:"config"`
	OSV *struct {
		ID      string `json:"id"`
		Summary string `json:"summary"`
	} `json:"osv"`
	Finding *struct {
		OSV          string  `json:"osv"`
		FixedVersion string  `json:"fixed_version"`
		Trace        []frame `json:"trace"`
	} `json:"finding"`
}

// frame is a place of a trace; the first is in the vulnerable code, the last in ours.
type frame struct {
	Module   string `json:"module"`
	Version  string `json:"version"`
	Package  string `json:"package"`
	Function string `json:"function"`
	Receiver string `json:"receiver"`
}

func (f frame) String() string {
	name := f.Function
	if f.Receiver != "" {
		name = strings.TrimPrefix(f.Receiver, "*") + "." + name
	}
	return f.Package + "." + name
}

func read(in io.Reader) (report, error) {
	r := report{summary: map[string]string{}, found: map[string]finding{}}
	for d := json.NewDecoder(in); ; {
		var m message
		if err := d.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return r, err
		}
		switch {
		case m.Config != nil:
			r.goVersion = m.Config.GoVersion
		case m.OSV != nil:
			r.summary[m.OSV.ID] = m.OSV.Summary
		case m.Finding != nil && len(m.Finding.Trace) > 0 && m.Finding.Trace[0].Function != "": // else nothing of ours calls it
			t := m.Finding.Trace
			r.found[m.Finding.OSV] = finding{t[0].Module, t[0].Version, m.Finding.FixedVersion, t[0].String(), t[len(t)-1].String()}
		}
	}
	if r.goVersion == "" {
		return r, errors.New("no configuration in it")
	}
	return r, nil
}

// write says what was found. The error tells that something must be mended.
func (r report) write(out io.Writer, database, toolchain string) error {
	var ids []string
	for id := range r.found {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	open, mended := 0, 0
	for _, id := range ids {
		f := r.found[id]
		verdict := "FAILED"
		if f.module == "stdlib" && f.fixed != "" && semver.Compare(f.fixed, toolchain) <= 0 {
			verdict = "mended"
			mended++
		} else {
			open++
		}
		fixed := "not fixed"
		if f.fixed != "" {
			fixed = "fixed in " + f.fixed
		}
		fmt.Fprintf(out, "%s %s: %s\n  %s %s, %s; %s calls %s\n", verdict, id, r.summary[id], f.module, f.version, fixed, f.caller, f.symbol)
	}
	if mended > 0 {
		fmt.Fprintf(out, "This machine's %s has faults that go%s, which go.work asks for, has not. Build releases with it.\n", r.goVersion, toolchain[1:])
	}
	fmt.Fprintf(out, "vulncheck: %d to mend, %d mended by the toolchain of go.work; database %s\n", open, mended, database)
	if open > 0 {
		return fmt.Errorf("%d known vulnerabilities are reached", open)
	}
	return nil
}
