package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// outputs are the files of one run, of which either all are written or none is. Only a rename that fails after another one
// has been done can part them.
type outputs []output

// output is one of them.
type output struct {
	path string // as the command line has it
	data []byte

	place string // where the file is put, behind symbolic links; empty for what is written to as it is: a pipe, a device, stdout
	temp  string // the whole file, beside its place; empty before and after
}

// add takes a file into the run, unless its path is empty.
func (outs *outputs) add(path string, data []byte) {
	if path != "" {
		*outs = append(*outs, output{path: path, data: data})
	}
}

// names are the files for a message.
func (outs outputs) names() string {
	names := make([]string, len(outs))
	for i := range outs {
		names[i] = outs[i].name()
	}
	return strings.Join(names, " and ")
}

// write prepares every file beside its place, then writes to what has none, then puts the files in their places.
func (outs outputs) write(ctx context.Context, stdout io.Writer) error {
	defer outs.each((*output).drop)
	if err := outs.each((*output).stage); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := outs.each(func(o *output) error { return o.copyTo(stdout) }); err != nil {
		return err
	}
	return outs.each((*output).publish)
}

// each takes one step with every file, up to the first error.
func (outs outputs) each(step func(*output) error) error {
	for i := range outs {
		if err := step(&outs[i]); err != nil {
			return outs[i].failed(err)
		}
	}
	return nil
}

func (o *output) name() string {
	if o.path == stdio {
		return "stdout"
	}
	return o.path
}

// failed adds the file to an error, instead of the hidden one that stood for it.
func (o *output) failed(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		err = path.Err
	case errors.As(err, &link):
		err = link.Err
	}
	return fmt.Errorf("write %s: %w", o.name(), err)
}

// stage writes the file, durably, under a hidden name in the directory where it will be.
func (o *output) stage() error {
	if o.path == stdio || isDevice(o.path) {
		return nil
	}
	place, perm := placeOf(o.path), fs.FileMode(0)
	switch info, err := os.Stat(place); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case info.IsDir():
		return syscall.EISDIR
	case !info.Mode().IsRegular():
		return nil
	default:
		perm = info.Mode().Perm()
	}
	temp := filepath.Join(filepath.Dir(place), ".zerobus-"+rand.Text()+".tmp")
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	o.place, o.temp = place, temp
	_, err = f.Write(o.data)
	if err == nil && perm != 0 {
		err = os.Chmod(temp, perm)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// isDevice reports whether a path stands for what is open already, such as /dev/stdout: never a place to put a file.
func isDevice(path string) bool {
	abs, err := filepath.Abs(path)
	return err == nil && (strings.HasPrefix(abs, "/dev/") || strings.HasPrefix(abs, "/proc/"))
}

// placeOf is where a file is or will be, behind symbolic links.
func placeOf(path string) string {
	for range 40 { // as many links as systems follow
		if behind, err := filepath.EvalSymlinks(path); err == nil {
			return behind
		}
		to, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = to // a link to what is not there yet
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		return filepath.Join(dir, filepath.Base(path))
	}
	return path
}

// sameFile reports whether two paths of the command line are one file, also one that is not there yet.
func sameFile(a, b string) bool {
	if a == "" || b == "" || a == stdio || b == stdio {
		return a != "" && a == b
	}
	one, err1 := os.Stat(a)
	other, err2 := os.Stat(b)
	if err1 == nil && err2 == nil {
		return os.SameFile(one, other)
	}
	abs1, err1 := filepath.Abs(placeOf(a))
	abs2, err2 := filepath.Abs(placeOf(b))
	return err1 == nil && err2 == nil && abs1 == abs2
}

// copyTo writes to standard output, a pipe or a device.
func (o *output) copyTo(stdout io.Writer) error {
	if o.place != "" {
		return nil
	}
	if o.path == stdio || o.path == "/dev/stdout" {
		_, err := stdout.Write(o.data)
		return err
	}
	f, err := os.OpenFile(o.path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(o.data)
	return errors.Join(err, f.Close())
}

// publish puts the staged file in its place.
func (o *output) publish() error {
	if o.temp == "" {
		return nil
	}
	if err := os.Rename(o.temp, o.place); err != nil {
		return err
	}
	o.temp = ""
	syncDir(filepath.Dir(o.place))
	return nil
}

// drop removes what was staged and not published.
func (o *output) drop() error {
	if o.temp != "" {
		_ = os.Remove(o.temp) // the error that led here says more
		o.temp = ""
	}
	return nil
}

// syncDir makes the names in a directory durable, where the system can do that and the directory may be read: the file is in
// its place either way.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}
