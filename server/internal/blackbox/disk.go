package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

// A way is how to come by a small file system. The program runs itself again in namespaces of its own, where the mount is
// seen by it and its children only and is gone with them.
type way string

const (
	plain     way = "plain"  // none: the disk of the directory, which cannot be filled
	userTmpfs way = "userns" // a tmpfs in a user namespace, without root
	rootTmpfs way = "tmpfs"  // a tmpfs, by root
	rootExt4  way = "ext4"   // an ext4 file system in a file, by root
	wayEnv        = "ZEROBUS_BLACKBOX_DISK"
	dirEnv        = "ZEROBUS_BLACKBOX_DIR"
	probing       = ":probe"
)

const (
	// diskSize is more than any run needs: a tmpfs takes memory for what is in it, and a file of ext4 disk likewise.
	diskSize = 16 << 30
	// diskLeft is what the filler finds on a tmpfs, which is made smaller for it: it takes memory, too.
	diskLeft = 32 << 20
	// topUp is how often the filler takes what the server has given back, such as half a Parquet file.
	topUp = 20 * time.Millisecond
	// scarce is when the load is too much for the disk: what happens then is not what was planned.
	scarce = 512 << 20
)

// chooseWay returns the first of the ways that works here, or why none does.
func chooseWay(ctx context.Context, ways []way, dir string) (way, error) {
	errs := []error{errors.New("there is no way to make a small file system here")}
	for _, w := range ways {
		var errw strings.Builder
		status, err := again(ctx, w, dir, probing, nil, &errw)
		if err == nil && status == 0 {
			return w, nil
		}
		why := strings.TrimSpace(errw.String())
		if err != nil {
			why = err.Error()
		}
		errs = append(errs, fmt.Errorf("%s: %s", w, why))
	}
	return "", errors.Join(errs...)
}

// again runs this program again where the file system can be mounted, and returns its exit status.
func again(ctx context.Context, w way, dir, mode string, out, errw io.Writer) (int, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	// An interrupt reaches all processes of the terminal: the other one ends in order, and this one waits for it.
	signal.Ignore(os.Interrupt)
	cmd := exec.CommandContext(ctx, self, os.Args[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Env = append(os.Environ(), wayEnv+"="+string(w)+mode, dirEnv+"="+dir)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, out, errw
	if err := enclose(cmd, w); err != nil {
		return 0, err
	}
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// A disk is the file system of the data directory.
type disk struct {
	dir   string
	image string // the file that ext4 is in
	way   way
	stop  context.CancelFunc // of the filler
	full  chan error         // gets the filler's end
}

// mount makes the file system. In plain, it is that of the directory.
func mount(w way, dir string) (*disk, error) {
	d := &disk{dir: filepath.Join(dir, "disk"), image: filepath.Join(dir, "disk.ext4"), way: w}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return d, err
	}
	return d, d.mount()
}

// discard removes what is left of a file system that could not be mounted.
func (d *disk) discard() error { return errors.Join(os.RemoveAll(d.dir), os.RemoveAll(d.image)) }

func (d *disk) filler() string { return filepath.Join(d.dir, "filler") }

// fill leaves no space, and takes what becomes free, until it is released. It returns when the disk is full for the first
// time.
func (d *disk) fill(ctx context.Context) error {
	if err := d.shrink(); err != nil {
		return err
	}
	f, err := os.Create(d.filler())
	if err != nil {
		return err
	}
	ctx, d.stop = context.WithCancel(ctx)
	first := make(chan struct{})
	d.full = make(chan error, 1)
	go func() { // ends with release, or with the run
		err := keepFull(ctx, f, first)
		d.full <- errors.Join(err, f.Close())
	}()
	select {
	case <-first:
		return nil
	case err := <-d.full:
		d.full <- err
		return errors.Join(err, d.release())
	}
}

// keepFull appends to the file what fits, again and again.
func keepFull(ctx context.Context, f *os.File, first chan struct{}) error {
	size, told := int64(0), false
	for ctx.Err() == nil {
		for step := int64(256 << 20); step >= 4096; {
			err := allocate(f, size, step)
			switch {
			case err == nil:
				size += step
			case noSpace(err):
				step /= 2
			default:
				return err
			}
		}
		if !told {
			close(first)
			told = true
		}
		pause(ctx, topUp)
	}
	return nil
}

// release removes the filler.
func (d *disk) release() error {
	if d.stop == nil {
		return nil
	}
	d.stop()
	d.stop = nil
	return errors.Join(<-d.full, os.Remove(d.filler()), d.grow())
}
