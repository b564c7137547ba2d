package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// ways are the ways to a small file system, those without root first.
var ways = []way{userTmpfs, rootTmpfs, rootExt4}

// enclose gives the command namespaces of its own, and ends it with us.
func enclose(cmd *exec.Cmd, w way) error {
	a := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if w != plain {
		a.Unshareflags = syscall.CLONE_NEWNS
	}
	if w == userTmpfs {
		a.Cloneflags = syscall.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	cmd.SysProcAttr = a
	return nil
}

// leash ends a server with us, and keeps the terminal's interrupts from it.
func leash(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

func (d *disk) mount() error {
	switch d.way {
	case userTmpfs, rootTmpfs:
		if err := syscall.Mount("tmpfs", d.dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", int64(diskSize))); err != nil {
			return fmt.Errorf("mount a tmpfs: %w", err)
		}
	case rootExt4:
		f, err := os.Create(d.image)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Truncate(diskSize), f.Close()); err != nil { // takes what is written to it
			return err
		}
		for _, args := range [][]string{{"mkfs.ext4", "-q", "-m", "0", d.image}, {"mount", "-o", "loop", d.image, d.dir}} {
			if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
				return fmt.Errorf("%s: %w\n%s", args[0], err, out)
			}
		}
	}
	return nil
}

// space is the size of the file system and what is free of it.
func (d *disk) space() (total, free int64, err error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(d.dir, &st); err != nil {
		return 0, 0, fmt.Errorf("statfs %s: %w", d.dir, err)
	}
	return int64(st.Blocks) * int64(st.Bsize), int64(st.Bavail) * int64(st.Bsize), nil
}

// shrink leaves little of a tmpfs to the filler.
func (d *disk) shrink() error {
	total, free, err := d.space()
	if err != nil {
		return err
	}
	return d.resize(total - free + diskLeft)
}

// grow gives back what shrink took.
func (d *disk) grow() error { return d.resize(diskSize) }

func (d *disk) resize(size int64) error {
	if d.way == rootExt4 {
		return nil
	}
	if err := syscall.Mount("tmpfs", d.dir, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("size=%d", size)); err != nil {
		return fmt.Errorf("resize the tmpfs: %w", err)
	}
	return nil
}

// allocate gives the file blocks from off to off + n.
func allocate(f *os.File, off, n int64) error {
	for {
		if err := syscall.Fallocate(int(f.Fd()), 0, off, n); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

func noSpace(err error) bool { return errors.Is(err, syscall.ENOSPC) }
