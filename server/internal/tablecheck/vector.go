package tablecheck

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/zerobus-go/zerobus/server/internal/delta"
)

// vector checks the deletion vector of the file: that what has it is there and has not changed since it was written. Which rows it
// names is not read.
func (f *file) vector(ctx context.Context) error {
	dv := f.add.DeletionVector
	path, err := dv.File()
	if err != nil {
		f.fault(Files, "", "%v", err)
		return nil
	}
	if path == "" {
		return nil
	}
	r, err := f.c.open(ctx, f.add, path)
	if r == nil || err != nil {
		return err
	}
	defer r.Close()
	w := &watched{ctx: ctx, r: r, size: r.Size()}
	if err := intact(w, r.Size(), dv); w.err != nil {
		return w.err
	} else if err != nil {
		f.fault(Files, "", "its deletion vector in %s: %v", path, err)
	}
	return nil
}

// vectorMagic begins every serialized deletion vector.
const vectorMagic = 1681511377

// intact checks the bytes of a deletion vector in a file of them (PROTOCOL.md, "Deletion Vector File Storage Format"): their number,
// the same as the log has it, themselves, beginning with a magic number, and their CRC-32.
func intact(r io.ReaderAt, size int64, dv *delta.DeletionVector) error {
	if dv.Offset == nil { // then it is not known where it begins
		return nil
	}
	const word = 4
	at, length := int64(*dv.Offset), int64(dv.SizeInBytes)
	if at < 0 || length < word || at+word+length+word > size {
		return fmt.Errorf("%d bytes at %d are not in a file of %d bytes", length, at, size)
	}
	var head [2 * word]byte
	if _, err := r.ReadAt(head[:], at); err != nil {
		return err
	}
	if n := int64(binary.BigEndian.Uint32(head[:])); n != length {
		return fmt.Errorf("at %d it has %d bytes, the log says %d", at, n, length)
	}
	if binary.LittleEndian.Uint32(head[word:]) != vectorMagic {
		return fmt.Errorf("at %d there is none", at)
	}
	sum := crc32.NewIEEE()
	if _, err := io.Copy(sum, io.NewSectionReader(r, at+word, length)); err != nil {
		return err
	}
	var tail [word]byte
	if n, err := r.ReadAt(tail[:], at+word+length); err != nil && !(errors.Is(err, io.EOF) && n == word) {
		return err
	}
	if got := binary.BigEndian.Uint32(tail[:]); got != sum.Sum32() {
		return fmt.Errorf("the %d bytes at %d are damaged: their checksum is %08x, the file says %08x", length, at, sum.Sum32(), got)
	}
	return nil
}

// cardinality checks how many rows the log says that the vector takes out: not more than there are.
func (f *file) cardinality() {
	if dv := f.add.DeletionVector; dv != nil && (dv.Cardinality < 0 || dv.Cardinality > f.rows) {
		f.fault(Files, "", "its deletion vector takes out %d rows, of %d", dv.Cardinality, f.rows)
	}
}
