// Corpus keeps the inputs that fuzzing has found interesting in the repository: Go has them in its build cache alone, which is
// emptied now and then and is different on every machine.
//
//	corpus load DIR    puts the inputs of DIR into the build cache, beside those that are there
//	corpus save DIR    writes the inputs of the build cache to DIR, one file of text for each fuzz target
//
// A file has its inputs one after the other as Go writes them, each under Go's own first line, sorted. Inputs that ever failed
// are not here but in the package's testdata/fuzz, where every go test runs them.
package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const (
	module = "github.com/zerobus-go/zerobus"
	header = "go test fuzz v1\n" // of every input

	// maxInput leaves out what would make the repository large: a new one is found again.
	maxInput = 16 << 10
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "corpus:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 || args[0] != "load" && args[0] != "save" {
		return errors.New("usage: corpus load|save DIR")
	}
	b, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		return fmt.Errorf("go env: %w", err)
	}
	cache := filepath.Join(strings.TrimSpace(string(b)), "fuzz", filepath.FromSlash(module))
	var n int
	if args[0] == "load" {
		n, err = load(args[1], cache)
	} else {
		n, err = save(cache, args[1])
	}
	if err == nil {
		fmt.Printf("corpus %s: %d inputs\n", args[0], n)
	}
	return err
}

// fileName is the file of a target, whose directory in the cache is dir, such as server/internal/wal/FuzzScan.
func fileName(dir string) string { return strings.ReplaceAll(filepath.ToSlash(dir), "/", ".") + ".txt" }

// targets are the fuzz targets of the workspace, as directories of the cache, by the name of their file.
func targets(root string) (map[string]string, error) {
	found := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		at, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		for line := range bytes.Lines(b) {
			if name, ok := bytes.CutPrefix(line, []byte("func Fuzz")); ok {
				name, _, _ = bytes.Cut(name, []byte("("))
				dir := filepath.Join(at, "Fuzz"+string(name))
				found[fileName(dir)] = dir
			}
		}
		return nil
	})
	return found, err
}

// load writes the inputs of dir into the cache, each under the name that Go gives it.
func load(dir, cache string) (n int, err error) {
	known, err := targets(".")
	if err != nil {
		return 0, err
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		return 0, err
	}
	for _, f := range files {
		target, ok := known[filepath.Base(f)]
		if !ok {
			return n, fmt.Errorf("%s: there is no such fuzz target any more: remove the file", f)
		}
		b, err := os.ReadFile(f)
		if err != nil {
			return n, err
		}
		to := filepath.Join(cache, target)
		if err := os.MkdirAll(to, 0o777); err != nil {
			return n, err
		}
		for _, in := range split(b) {
			name := fmt.Sprintf("%x", sha256.Sum256(in))[:16]
			if err := os.WriteFile(filepath.Join(to, name), in, 0o666); err != nil {
				return n, err
			}
			n++
		}
	}
	return n, nil
}

// save writes the inputs of the cache to dir. Targets without any keep what they have.
func save(cache, dir string) (n int, err error) {
	known, err := targets(".")
	if err != nil {
		return 0, err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return 0, err
	}
	for file, target := range known {
		found, err := filepath.Glob(filepath.Join(cache, target, "*"))
		if err != nil || len(found) == 0 {
			continue
		}
		var inputs [][]byte
		for _, f := range found {
			b, err := os.ReadFile(f)
			if err != nil {
				return n, err
			}
			if bytes.HasPrefix(b, []byte(header)) && len(b) <= maxInput {
				inputs = append(inputs, b)
			}
		}
		slices.SortFunc(inputs, bytes.Compare)
		if err := os.WriteFile(filepath.Join(dir, file), bytes.Join(inputs, nil), 0o666); err != nil {
			return n, err
		}
		n += len(inputs)
	}
	return n, nil
}

// split divides a file into its inputs. No line of an input can be the header: Go quotes line breaks.
func split(b []byte) (inputs [][]byte) {
	for _, in := range bytes.Split(b, []byte(header))[1:] {
		inputs = append(inputs, append([]byte(header), in...))
	}
	return inputs
}
