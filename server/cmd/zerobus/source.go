package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
)

const stdinName = "stdin"

// input is one FILE of the command line.
type input struct {
	name string // as messages show it
	path string // empty for standard input
	csv  bool
	gzip bool
	size int64 // in bytes as stored, compressed or not; -1 when that is not known
}

// findInputs checks the files of the command line before anything is sent.
func findInputs(args []string, format string, stdin io.Reader) ([]input, error) {
	var inputs []input
	seen := false
	for _, arg := range args {
		in := input{name: arg, path: arg, csv: format == "csv", size: -1}
		if arg == "-" {
			if seen {
				return nil, &usageError{"standard input (-) is named twice"}
			}
			seen = true
			in.name, in.path = stdinName, ""
			if f, ok := stdin.(*os.File); ok {
				in.size = sizeOf(f.Stat())
			}
			inputs = append(inputs, in)
			continue
		}
		info, err := os.Stat(arg)
		if err != nil {
			return nil, err
		}
		if info.IsDir() {
			return nil, fmt.Errorf("%s is a directory", arg)
		}
		in.size = sizeOf(info, nil)
		lower := strings.ToLower(arg)
		lower, in.gzip = strings.CutSuffix(lower, ".gz")
		if format == "auto" {
			in.csv = strings.HasSuffix(lower, ".csv")
		}
		inputs = append(inputs, in)
	}
	return inputs, nil
}

func sizeOf(info os.FileInfo, err error) int64 {
	if err != nil || !info.Mode().IsRegular() {
		return -1
	}
	return info.Size()
}

// totalSize is the bytes of all inputs, 0 when that is not known.
func totalSize(inputs []input) (total int64) {
	for _, in := range inputs {
		if in.size < 0 {
			return 0
		}
		total += in.size
	}
	return total
}

// open starts to read an input. took is told, by the goroutine that calls Read, how many bytes as stored were used.
func (in *input) open(ctx context.Context, stdin io.Reader, took func(int64)) (*readAhead, error) {
	if in.path == "" {
		return newReadAhead(ctx, stdin, nil, false, took), nil
	}
	f, err := os.Open(in.path)
	if err != nil {
		return nil, err
	}
	return newReadAhead(ctx, f, f, in.gzip, took), nil
}
