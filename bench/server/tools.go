package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// tools are the programs that measure.
type tools struct {
	dir                           string // for data
	zerobus, decodebench, commits string // binaries
}

// find takes the programs of a directory, or builds them without one.
func (t *tools) find(ctx context.Context, bin string) error {
	for _, one := range []struct {
		binary *string
		of     string
	}{
		{&t.zerobus, "server/cmd/zerobus"}, {&t.decodebench, "server/internal/decodebench"}, {&t.commits, "server/internal/commits"},
	} {
		from := bin
		if bin == "" {
			from = t.dir
		}
		name, err := filepath.Abs(filepath.Join(from, filepath.Base(one.of)))
		if err != nil {
			return err
		}
		*one.binary = name
		if bin != "" {
			if _, err := os.Stat(name); err != nil {
				return err
			}
			continue
		}
		out, err := exec.CommandContext(ctx, "go", "build", "-o", name, "github.com/zerobus-go/zerobus/"+one.of).CombinedOutput()
		if err != nil {
			return fmt.Errorf("build %s: %w\n%s", one.of, err, out)
		}
	}
	return nil
}

// output runs a program to its end.
func output(ctx context.Context, binary string, args ...string) ([]byte, error) {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // so that it removes its data
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s", filepath.Base(binary), strings.Join(args, " "), err, stderr.String())
	}
	return out, nil
}

// linesOf runs a program that prints JSON values.
func linesOf[T any](ctx context.Context, binary string, args ...string) (all []T, err error) {
	out, err := output(ctx, binary, args...)
	if err != nil {
		return nil, err
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var one T
		if err := d.Decode(&one); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("output of %s: %w", filepath.Base(binary), err)
		}
		all = append(all, one)
	}
}

// bench runs zerobus bench, which starts a server of its own.
func (t *tools) bench(ctx context.Context, args ...string) (Run, error) {
	all, err := linesOf[Run](ctx, t.zerobus, append([]string{"bench", "--json", "--dir", t.dir}, args...)...)
	if err != nil {
		return Run{}, err
	}
	if len(all) != 1 {
		return Run{}, fmt.Errorf("zerobus bench told %d results", len(all))
	}
	return all[0], nil
}
