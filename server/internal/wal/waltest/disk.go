// Package waltest has a disk in memory for tests of the log and of what stands on it: it loses power, runs full, and
// fails when it is told to.
//
// What is written is visible at once, and durable after a sync. When the power goes, sectors that were not synced keep
// their old content or get any of the newer ones, each sector for itself; names that were not synced are lost from some
// point on. A failed sync loses what it should have written though it stays visible, as on Linux.
package waltest

import (
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"sort"
	"sync"
	"syscall"

	"github.com/zerobus-go/zerobus/server/internal/wal"
)

// SectorBytes is what a disk writes whole or not at all.
const SectorBytes = 512

// ErrStopped is what every operation returns after the point at which a process was stopped.
var ErrStopped = errors.New("the process is gone")

// Op is one operation, as a hook sees it before it happens.
type Op struct {
	N    int    // number of the operation since the disk was made, from 1
	Kind string // mkdir, list, create, open, rename, remove, syncdir, lock, preallocate, read, write, sync, datasync
	Name string
}

// Disk is a wal.FS in memory. All methods may be called from any goroutine.
type Disk struct {
	mu      sync.Mutex
	names   map[string]*inode // as seen
	durable map[string]*inode // as after a power cut, at the least
	changes []change          // of names, not yet synced
	locked  map[string]int    // by era
	era     int               // changes when the process dies; handles of another era are dead
	ops     int
	stopAt  int
	failAt  int
	failErr error
	hook    func(Op) error
	space   int64 // 0: no limit
	counts  map[string]int
}

type inode struct {
	data    []byte  // as seen
	durable []byte  // as after a power cut, at the least
	pending []write // not yet synced
	shared  bool    // data and durable belong to another inode as well
}

// own makes the content the inode's alone.
func (f *inode) own() {
	if f.shared {
		f.data, f.durable, f.shared = append([]byte{}, f.data...), append([]byte{}, f.durable...), false
	}
}

type write struct {
	off  int64
	data []byte // nil: the size became off
}

type change struct {
	dir      string
	from, to string // from == "": created; to == "": removed
	file     *inode
}

// New makes an empty disk.
func New() *Disk {
	return &Disk{names: map[string]*inode{}, durable: map[string]*inode{}, locked: map[string]int{}, counts: map[string]int{}}
}

var _ wal.FS = (*Disk)(nil)

// FailAt lets the n-th operation from now on fail with err, once. A write that fails has written a part.
func (d *Disk) FailAt(n int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failAt, d.failErr = d.ops+n, err
}

// StopAt lets the n-th operation from now on, and all after it, do nothing and return ErrStopped: the process is gone
// as far as the disk can tell. The first one, if a write, may have written a part.
func (d *Disk) StopAt(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopAt = d.ops + n
}

// Hook lets f see every operation before it happens; its error, if any, becomes the operation's. f may block. nil
// removes the hook.
func (d *Disk) Hook(f func(Op) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hook = f
}

// SetSpace bounds the sum of all file sizes; 0 means no bound.
func (d *Disk) SetSpace(bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.space = bytes
}

// Ops is the number of operations so far.
func (d *Disk) Ops() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ops
}

// Count is the number of operations of a kind so far.
func (d *Disk) Count(kind string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.counts[kind]
}

// Kill ends the process: locks are free, handles are dead, what was written stays visible.
func (d *Disk) Kill() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.era++
	d.stopAt, d.failAt, d.hook = 0, 0, nil
}

// PowerCut ends the process and the machine, and starts the machine anew.
func (d *Disk) PowerCut(r *rand.Rand) {
	d.Kill()
	d.mu.Lock()
	defer d.mu.Unlock()
	// Names: some of the changes, from the first on, as a journal keeps them.
	apply(d.durable, d.changes[:r.IntN(len(d.changes)+1)])
	d.changes = nil
	d.names = map[string]*inode{}
	names := make([]string, 0, len(d.durable))
	for name := range d.durable {
		names = append(names, name)
	}
	sort.Strings(names) // so that a seed says all
	for _, name := range names {
		f := d.durable[name]
		f.cut(r)
		d.names[name] = f
	}
}

// apply makes changes to names.
func apply(names map[string]*inode, changes []change) {
	for _, c := range changes {
		if c.from != "" {
			delete(names, c.from)
		}
		if c.to != "" {
			names[c.to] = c.file
		}
	}
}

// cut leaves of the pending writes what a power cut leaves.
func (f *inode) cut(r *rand.Rand) {
	f.own()
	data := f.durable
	mode := r.IntN(4)
	// taken is how many of the versions of a sector are passed over from now on.
	stopped := map[int64]bool{}
	for _, w := range f.pending {
		if w.data == nil {
			if mode != 0 && r.IntN(2) == 0 && int64(len(data)) < w.off {
				data = append(data, make([]byte, w.off-int64(len(data)))...)
			}
			continue
		}
		for off := w.off; off < w.off+int64(len(w.data)); {
			sector := off / SectorBytes
			end := min((sector+1)*SectorBytes, w.off+int64(len(w.data)))
			keep := false
			switch mode {
			case 0: // nothing more reached the disk
			case 1: // everything did
				keep = true
			case 2: // nearly everything
				keep = !stopped[sector] && r.IntN(16) != 0
			case 3: // half
				keep = !stopped[sector] && r.IntN(2) == 0
			}
			if keep {
				if int64(len(data)) < end {
					data = append(data, make([]byte, end-int64(len(data)))...)
				}
				copy(data[off:end], w.data[off-w.off:end-w.off])
			} else {
				stopped[sector] = true
			}
			off = end
		}
	}
	f.pending = nil
	f.durable = data
	f.data = append([]byte(nil), data...)
}

// sync makes the pending writes durable.
func (f *inode) sync() {
	f.own()
	for _, w := range f.pending {
		end := w.off + int64(len(w.data))
		if int64(len(f.durable)) < end {
			f.durable = append(f.durable, make([]byte, end-int64(len(f.durable)))...)
		}
		copy(f.durable[w.off:], w.data)
	}
	f.pending = nil
}

// Files gives the names of all files as seen, sorted.
func (d *Disk) Files() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	names := make([]string, 0, len(d.names))
	for name := range d.names {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// Read gives a copy of a file's content as seen, nil if there is none.
func (d *Disk) Read(name string) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.names[name]; f != nil {
		return append([]byte{}, f.data...)
	}
	return nil
}

// Put replaces the content of a file, or makes one, durably.
func (d *Disk) Put(name string, data []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := &inode{data: append([]byte{}, data...), durable: append([]byte{}, data...)}
	d.names[name], d.durable[name] = f, f
}

// Drop removes a file, durably.
func (d *Disk) Drop(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.names, name)
	delete(d.durable, name)
}

// Clone copies the disk as it is seen, durable, without locks or faults.
func (d *Disk) Clone() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := New()
	for name, f := range d.names {
		f.shared = true
		g := &inode{data: f.data, durable: f.data, shared: true}
		c.names[name], c.durable[name] = g, g
	}
	return c
}

// begin counts an operation and gives the error it is to fail with. On success d.mu is held. era is the caller's.
func (d *Disk) begin(era int, kind, name string) error {
	d.mu.Lock()
	if d.hook != nil {
		// The number is given when the operation happens; a hook that blocks must not hold up others.
		h, op := d.hook, Op{d.ops + 1, kind, name}
		d.mu.Unlock()
		if err := h(op); err != nil {
			return err
		}
		d.mu.Lock()
	}
	d.ops++
	d.counts[kind]++
	switch {
	case era != d.era:
		d.mu.Unlock()
		return ErrStopped
	case d.stopAt > 0 && d.ops >= d.stopAt:
		first := d.ops == d.stopAt
		d.mu.Unlock()
		if first {
			return &partial{ErrStopped}
		}
		return ErrStopped
	case d.failAt > 0 && d.ops == d.failAt:
		err := d.failErr
		d.mu.Unlock()
		return &partial{err}
	}
	return nil
}

// partial is an injected error of an operation that may have happened in part.
type partial struct{ error }

func (p *partial) Unwrap() error { return p.error }

func (d *Disk) now() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.era
}

func (d *Disk) MkdirAll(dir string) error {
	if err := d.begin(d.now(), "mkdir", dir); err != nil {
		return err
	}
	d.mu.Unlock()
	return nil
}

func (d *Disk) List(dir string) ([]wal.FileInfo, error) {
	if err := d.begin(d.now(), "list", dir); err != nil {
		return nil, err
	}
	defer d.mu.Unlock()
	var files []wal.FileInfo
	for name, f := range d.names {
		if filepath.Dir(name) == filepath.Clean(dir) {
			files = append(files, wal.FileInfo{Name: filepath.Base(name), Size: int64(len(f.data))})
		}
	}
	sort.Slice(files, func(i, j int) bool { return files[i].Name < files[j].Name })
	return files, nil
}

func (d *Disk) Create(name string) (wal.File, error) {
	era := d.now()
	if err := d.begin(era, "create", name); err != nil {
		return nil, err
	}
	defer d.mu.Unlock()
	if d.names[name] != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	f := &inode{}
	d.change(change{dir: filepath.Dir(name), to: name, file: f})
	return &file{disk: d, era: era, name: name, node: f}, nil
}

func (d *Disk) Open(name string) (wal.File, error) {
	era := d.now()
	if err := d.begin(era, "open", name); err != nil {
		return nil, err
	}
	defer d.mu.Unlock()
	f := d.names[name]
	if f == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &file{disk: d, era: era, name: name, node: f}, nil
}

func (d *Disk) Rename(from, to string) error {
	if err := d.begin(d.now(), "rename", from); err != nil {
		return err
	}
	defer d.mu.Unlock()
	f := d.names[from]
	if f == nil {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	d.change(change{dir: filepath.Dir(from), from: from, to: to, file: f})
	return nil
}

func (d *Disk) Remove(name string) error {
	if err := d.begin(d.now(), "remove", name); err != nil {
		return err
	}
	defer d.mu.Unlock()
	if d.names[name] == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	d.change(change{dir: filepath.Dir(name), from: name})
	return nil
}

func (d *Disk) change(c change) {
	apply(d.names, []change{c})
	d.changes = append(d.changes, c)
}

func (d *Disk) SyncDir(dir string) error {
	if err := d.begin(d.now(), "syncdir", dir); err != nil {
		return err
	}
	defer d.mu.Unlock()
	rest := d.changes[:0:0]
	for _, c := range d.changes {
		if c.dir == filepath.Clean(dir) {
			apply(d.durable, []change{c})
		} else {
			rest = append(rest, c)
		}
	}
	d.changes = rest
	return nil
}

type lock struct {
	disk *Disk
	name string
	era  int
}

func (l *lock) Close() error {
	l.disk.mu.Lock()
	defer l.disk.mu.Unlock()
	if l.disk.locked[l.name] == l.era+1 {
		delete(l.disk.locked, l.name)
	}
	return nil
}

func (d *Disk) Lock(name string) (io.Closer, error) {
	if err := d.begin(d.now(), "lock", name); err != nil {
		return nil, err
	}
	defer d.mu.Unlock()
	if d.locked[name] == d.era+1 {
		return nil, wal.ErrLocked
	}
	d.locked[name] = d.era + 1
	return &lock{d, name, d.era}, nil
}

// file is a handle.
type file struct {
	disk *Disk
	era  int
	name string
	node *inode
}

func (f *file) begin(kind string) error { return f.disk.begin(f.era, kind, f.name) }

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	if err := f.begin("read"); err != nil {
		return 0, err
	}
	defer f.disk.mu.Unlock()
	if off >= int64(len(f.node.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.node.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *file) WriteAt(p []byte, off int64) (int, error) {
	if err := f.begin("write"); err != nil {
		var part *partial
		if !errors.As(err, &part) {
			return 0, err
		}
		f.disk.mu.Lock()
		defer f.disk.mu.Unlock()
		n := len(p) / 2
		f.put(p[:n], off)
		return n, err
	}
	defer f.disk.mu.Unlock()
	if !f.disk.fits(off + int64(len(p)) - int64(len(f.node.data))) {
		return 0, &fs.PathError{Op: "write", Path: f.name, Err: syscall.ENOSPC}
	}
	f.put(p, off)
	return len(p), nil
}

func (f *file) put(p []byte, off int64) {
	f.node.own()
	f.node.grow(off + int64(len(p)))
	copy(f.node.data[off:], p)
	f.node.pending = append(f.node.pending, write{off, append([]byte{}, p...)})
}

func (f *inode) grow(size int64) {
	if n := size - int64(len(f.data)); n > 0 {
		f.data = append(f.data, make([]byte, n)...)
	}
}

// fits tells whether there is space for more bytes.
func (d *Disk) fits(more int64) bool {
	if d.space == 0 || more <= 0 {
		return true
	}
	for _, f := range d.names {
		more += int64(len(f.data))
	}
	return more <= d.space
}

func (f *file) Preallocate(size int64) error {
	if err := f.begin("preallocate"); err != nil {
		return err
	}
	defer f.disk.mu.Unlock()
	if !f.disk.fits(size - int64(len(f.node.data))) {
		return &fs.PathError{Op: "preallocate", Path: f.name, Err: syscall.ENOSPC}
	}
	f.node.own()
	f.node.grow(size)
	f.node.pending = append(f.node.pending, write{off: size})
	return nil
}

func (f *file) Sync() error     { return f.sync("sync") }
func (f *file) Datasync() error { return f.sync("datasync") }

func (f *file) sync(kind string) error {
	if err := f.begin(kind); err != nil {
		var part *partial
		if errors.As(err, &part) && !errors.Is(err, ErrStopped) {
			// The system drops what it could not write, and forgets that it did.
			f.disk.mu.Lock()
			f.node.pending = nil
			f.disk.mu.Unlock()
		}
		return err
	}
	defer f.disk.mu.Unlock()
	f.node.sync()
	return nil
}

// Close counts as no operation: nothing depends on it.
func (f *file) Close() error { return nil }
