package wal

import (
	"errors"
	"fmt"
	"log/slog"
)

// Options are the settings of a [Local] log. The zero value of each field but Dir stands for its default.
type Options struct {
	// Dir is the log's directory. It is created, with mode 0700, if it does not exist. Required.
	Dir string

	// SegmentBytes is the size of one segment file. Default 64 MiB, at least 16 KiB, at most 1 GiB, a multiple of 4096.
	// Opening a log reads segments whole, one at a time, so this much memory is used then. It may change from one
	// opening to the next.
	SegmentBytes int64

	// MaxPendingBytes bounds what is queued and not yet durable; Append waits at the bound. Default 64 MiB, at least
	// MaxEntryBytes and an entry's overhead of up to 55 bytes.
	MaxPendingBytes int64

	// MaxBytes bounds the size of all segments on disk, spare ones included. At the bound Append fails with ErrFull
	// until segments are trimmed. Default 8 GiB, at least two segments.
	MaxBytes int64

	// MaxEntryBytes bounds one payload. Default 32 MiB. An entry and a segment's overhead of about 4 KiB must fit into
	// SegmentBytes.
	MaxEntryBytes int

	// Recycled is the number of spare segments that are kept, so that rolling over neither allocates nor zeroes. Trimmed
	// segments above it are removed. Default 2, at least 1.
	Recycled int

	// Logger gets what an operator should know: a tail that was cut, a full disk, a disk error. Default slog.Default.
	Logger *slog.Logger

	// FS is the file system. Default: that of the operating system.
	FS FS
}

const (
	defaultSegmentBytes    = 64 << 20
	defaultMaxPendingBytes = 64 << 20
	defaultMaxBytes        = 8 << 30
	defaultMaxEntryBytes   = 32 << 20
	defaultRecycled        = 2

	minSegmentBytes = 16 << 10
	// Segments are read whole into memory when the log is opened.
	maxSegmentBytes = 1 << 30
)

// withDefaults returns o with every zero field replaced by its default.
func (o Options) withDefaults() Options {
	if o.SegmentBytes == 0 {
		o.SegmentBytes = defaultSegmentBytes
	}
	if o.MaxPendingBytes == 0 {
		o.MaxPendingBytes = defaultMaxPendingBytes
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if o.MaxEntryBytes == 0 {
		o.MaxEntryBytes = defaultMaxEntryBytes
	}
	if o.Recycled == 0 {
		o.Recycled = defaultRecycled
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.FS == nil {
		o.FS = osFS{}
	}
	return o
}

// Validate reports every setting that is out of its bounds. Zero fields count as their defaults.
func (o Options) Validate() error {
	o = o.withDefaults()
	var errs []error
	if o.Dir == "" {
		errs = append(errs, errors.New("wal: Dir is empty: name the directory of the log"))
	}
	if o.SegmentBytes < minSegmentBytes || o.SegmentBytes > maxSegmentBytes || o.SegmentBytes%blockSize != 0 {
		errs = append(errs, fmt.Errorf("wal: SegmentBytes is %d: want a multiple of %d from %d to %d",
			o.SegmentBytes, blockSize, minSegmentBytes, maxSegmentBytes))
	}
	if largest := o.SegmentBytes - segmentOverhead - entryAlign; o.MaxEntryBytes < 1 || int64(o.MaxEntryBytes) > largest {
		errs = append(errs, fmt.Errorf("wal: MaxEntryBytes is %d: want 1 to %d, since an entry must fit into a segment of %d bytes",
			o.MaxEntryBytes, largest, o.SegmentBytes))
	}
	if o.MaxEntryBytes >= 1 && o.MaxPendingBytes < entrySize(o.MaxEntryBytes) {
		errs = append(errs, fmt.Errorf("wal: MaxPendingBytes is %d: want at least %d, so that the largest entry can be queued",
			o.MaxPendingBytes, entrySize(o.MaxEntryBytes)))
	}
	if o.MaxBytes < 2*o.SegmentBytes {
		errs = append(errs, fmt.Errorf("wal: MaxBytes is %d: want at least two segments, %d", o.MaxBytes, 2*o.SegmentBytes))
	}
	if o.Recycled < 1 {
		errs = append(errs, fmt.Errorf("wal: Recycled is %d: want at least 1", o.Recycled))
	}
	return errors.Join(errs...)
}
