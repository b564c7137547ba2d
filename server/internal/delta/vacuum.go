package delta

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

// vacuumBatch is how many files go before Vacuum looks at the log again.
const vacuumBatch = 1000

// ErrRetention: files would go sooner than the table's delta.deletedFileRetentionDuration allows. Retain longer, change the
// property, or force it while nobody writes to the table and nobody reads an older version of it.
var ErrRetention = errors.New("the table keeps files longer")

// Progress is told how far a long operation is: done of total, which is 0 while it is not known. It runs on the goroutine of
// the operation and must not block.
type Progress func(step string, done, total int64)

func (p Progress) tell(step string, done, total int) {
	if p != nil {
		p(step, int64(done), int64(total))
	}
}

// VacuumOptions say what Vacuum deletes. The zero value keeps the table's own retention.
type VacuumOptions struct {
	// Retain is how long files stay after no version needs them; nil for the table's delta.deletedFileRetentionDuration, which
	// is a week unless it is set. Less than that is ErrRetention without Force.
	Retain *time.Duration
	Force  bool

	// DryRun finds the files and deletes none.
	DryRun bool

	// Staged is asked before each look at the log for the data files that are written and wait for their commit, however old they
	// are. nil: there are none beside those that Retain covers.
	Staged func() (staged func(path string) bool)

	Progress Progress
}

// VacuumResult is what Vacuum found, and deleted unless it was a dry run.
type VacuumResult struct {
	Version int64         // of the table when it was looked at last
	Retain  time.Duration // that counted
	Before  time.Time     // what is older has gone
	Listed  int           // files below the table's directory, without hidden ones

	Files []LooseFile // deleted or, in a dry run, to be deleted; by path
	Bytes int64       // of them

	Kept      int // files that the latest version does not name, too young to go
	KeptBytes int64
}

// Vacuum deletes the files below the table's directory that no version needs any longer: those that the latest version does not
// name, that were last changed before the retention, and that no commit took out within it. Deletion vectors are files like
// any other. Names that begin with a dot or an underscore are left alone, as in Spark: see hiddenName.
//
// Versions from before the retention cannot be read any more afterwards, though the log still has them. Nothing is
// committed: the log says nothing of a vacuum.
//
// The log is read again before every thousand deletions, so a file that was added or restored meanwhile stays. Where an error
// ends it, or ctx, the result says what went; the table is whole, and Vacuum can be called again. A file that may not be deleted
// stays, the others go, and the error names it. Commits go on beside it. Two of
// them at a time do no harm. The error is an UnsupportedError for a table that this package cannot write to: what its features
// mean for its files is not known (PROTOCOL.md, "VACUUM Protocol Check").
func (t *Table) Vacuum(ctx context.Context, o VacuumOptions) (VacuumResult, error) {
	res, err := t.vacuum(ctx, o)
	if err != nil {
		return res, t.wrap(fmt.Errorf("vacuum: %w", err))
	}
	return res, nil
}

func (t *Table) vacuum(ctx context.Context, o VacuumOptions) (res VacuumResult, err error) {
	now := t.now()
	v := &vacuum{t: t, o: o}
	if err := v.look(ctx); err != nil {
		return res, err
	}
	res.Version = v.seen.Version
	if res.Retain, err = v.seen.vacuumRetention(o); err != nil {
		return res, err
	}
	res.Before = now.Add(-res.Retain)
	v.since, v.retain = res.Before, res.Retain
	if err := v.name(ctx); err != nil {
		return res, err
	}
	var old []LooseFile
	for info, err := range t.dataFiles(ctx, v.seen) {
		if err != nil {
			return res, err
		}
		res.Listed++
		o.Progress.tell("files looked up", res.Listed, 0)
		switch f, loose := v.loose(info); {
		case !loose:
		case f.expired(res.Before):
			old = append(old, f)
		default:
			res.keep(f)
		}
	}
	if o.DryRun {
		res.take(old...)
		return res, nil
	}
	for at := 0; at < len(old); at += vacuumBatch {
		batch := old[at:min(at+vacuumBatch, len(old))]
		if err := v.delete(ctx, batch, &res, at, len(old)); err != nil {
			return res, err
		}
	}
	if n := len(v.refused); n > 0 {
		return res, fmt.Errorf("%d of %d files are deleted, %d cannot be deleted here, the first of them: %w", len(res.Files), len(old), n, v.refused[0])
	}
	return res, nil
}

func (r *VacuumResult) take(files ...LooseFile) {
	for _, f := range files {
		r.Files = append(r.Files, f)
		r.Bytes += f.Size
	}
}

func (r *VacuumResult) keep(f LooseFile) {
	r.Kept++
	r.KeptBytes += f.Size
}

// vacuumRetention is how long files stay.
func (s *Snapshot) vacuumRetention(o VacuumOptions) (time.Duration, error) {
	if err := CheckWritable(s); err != nil {
		return 0, err
	}
	own, err := s.retention(deletedFileRetention)
	switch {
	case o.Retain == nil:
		return own, err
	case *o.Retain < 0:
		return 0, fmt.Errorf("a retention of %s is not possible", *o.Retain)
	case o.Force:
		return *o.Retain, nil
	case err != nil:
		return 0, err
	case *o.Retain < own:
		return 0, fmt.Errorf("%w: a retention of %s is less than the %s of %s; force it only while nobody else writes to the table", ErrRetention, *o.Retain, own, deletedFileRetention)
	}
	return *o.Retain, nil
}

// vacuum is one run of Vacuum.
type vacuum struct {
	t      *Table
	o      VacuumOptions
	since  time.Time     // tombstones from then on count
	retain time.Duration // which is the time up to now

	seen   *Snapshot
	staged func(path string) bool
	named  *fileNames // of seen

	refused []error // of files that cannot be deleted
}

// look reads the log up to the latest version. Who has files on their way is asked before: what is committed in between is in
// the log by then.
func (v *vacuum) look(ctx context.Context) error {
	v.staged = func(string) bool { return false }
	if v.o.Staged != nil {
		v.staged = v.o.Staged()
	}
	if err := v.t.Refresh(ctx); err != nil {
		return err
	}
	s := v.t.Snapshot()
	if v.seen != nil && v.seen.Version == s.Version {
		return nil
	}
	if err := CheckWritable(s); err != nil {
		return err
	}
	v.seen, v.named = s, nil
	if v.o.DryRun {
		return nil
	}
	// A remove that a power cut takes back needs its file.
	return v.t.Settle(ctx)
}

// name gathers the names of the version that was seen.
func (v *vacuum) name(ctx context.Context) (err error) {
	if v.named != nil {
		return nil
	}
	if v.named, err = v.seen.names(); err != nil {
		return err
	}
	// The state forgets tombstones after the table's retention. Commits tell for longer, and when they were written.
	undated := slices.ContainsFunc(v.seen.removes, func(r Remove) bool { return r.DeletionTimestamp == 0 })
	if own, err := v.seen.retention(deletedFileRetention); err == nil && v.retain <= own && !undated {
		return nil
	}
	return v.t.addRemoved(ctx, v.named, v.since)
}

// loose tells whether a file is one that the latest version does not need.
func (v *vacuum) loose(info fileInfo) (LooseFile, bool) {
	f, loose := v.named.loose(info)
	return f, loose && !v.staged(info.Path)
}

// delete deletes files, after another look at the log.
func (v *vacuum) delete(ctx context.Context, batch []LooseFile, res *VacuumResult, done, total int) error {
	if err := v.look(ctx); err != nil {
		return err
	}
	if err := v.name(ctx); err != nil {
		return err
	}
	res.Version = v.seen.Version
	for i, f := range batch {
		now, loose := v.loose(fileInfo{Path: f.Path, Size: f.Size, ModTime: f.Modified})
		if !loose || !now.expired(res.Before) {
			continue
		}
		err := v.t.store.Delete(ctx, f.Path)
		switch {
		case errors.Is(err, fs.ErrInvalid), errors.Is(err, fs.ErrPermission):
			// A name that no table of ours has, or somebody else's directory: it must not keep the others from going.
			res.keep(f)
			v.refused = append(v.refused, err)
		case err != nil:
			return fmt.Errorf("%d of %d files are deleted: %w", len(res.Files), total, err)
		default:
			res.take(f)
		}
		v.o.Progress.tell("files deleted", done+i+1, total)
	}
	return nil
}
