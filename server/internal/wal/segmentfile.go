package wal

import (
	"path/filepath"
)

// segmentFile is the segment that is being written. It belongs to the writer alone.
//
// Invariant: all entries before off are durable, and a mark at off, if there is one, says so.
type segmentFile struct {
	file File
	name string
	size int64
	off  int64  // offset behind the last entry
	seed uint32 // of the checksums
	// unmarked: entries were written since the last mark.
	unmarked bool
	mark     [entryHeadBytes]byte // scratch
}

// room is how many bytes of entries fit: the place of the final mark is kept.
func (s *segmentFile) room() int64 { return s.size - entryHeadBytes - s.off }

// writeEnd writes a mark or a seal behind the last entry; next is the sequence number of the entry to come.
func (s *segmentFile) writeEnd(k kind, next uint64) error {
	h := head{kind: k, seq: next, group: next}
	h.encode(s.mark[:], s.seed)
	if _, err := s.file.WriteAt(s.mark[:], s.off); err != nil {
		return ioError("write", s.name, err)
	}
	s.unmarked = false
	return nil
}

func (s *segmentFile) datasync() error {
	if err := s.file.Datasync(); err != nil {
		return ioError("fdatasync", s.name, err)
	}
	return nil
}

func (s *segmentFile) close() error {
	if err := s.file.Close(); err != nil {
		return ioError("close", s.name, err)
	}
	return nil
}

// activate makes the spare file a segment. The file gets its name when its header is durable, so that a file with a
// segment's name always has a header, and the old entries in the file are void from then on.
func activate(fsys FS, dir, spare string, h segmentHeader) (*segmentFile, error) {
	spare = filepath.Join(dir, spare)
	name := filepath.Join(dir, numberedName(h.number, segmentSuffix))
	var block [blockSize]byte
	h.encode(block[:])

	f, err := fsys.Open(spare)
	if err != nil {
		return nil, ioError("open", spare, err)
	}
	if _, err := f.WriteAt(block[:], 0); err != nil {
		f.Close()
		return nil, ioError("write", spare, err)
	}
	if err := f.Datasync(); err != nil {
		f.Close()
		return nil, ioError("fdatasync", spare, err)
	}
	// Windows does not rename open files.
	if err := f.Close(); err != nil {
		return nil, ioError("close", spare, err)
	}
	if err := fsys.Rename(spare, name); err != nil {
		return nil, ioError("rename", spare, err)
	}
	if err := fsys.SyncDir(dir); err != nil {
		return nil, ioError("sync directory", dir, err)
	}
	return openSegment(fsys, name, h, blockSize)
}

// openSegment opens a segment for writing at off.
func openSegment(fsys FS, name string, h segmentHeader, off int64) (*segmentFile, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, ioError("open", name, err)
	}
	return &segmentFile{file: f, name: name, size: int64(h.capacity), off: off, seed: h.seed()}, nil
}
