package tablecheck

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/lake"
)

// vectorFile is a file with one deletion vector, at byte 1.
func vectorFile(data string) []byte {
	out := append([]byte{1}, binary.BigEndian.AppendUint32(nil, uint32(len(data)))...)
	out = append(out, data...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE([]byte(data)))
}

// PROTOCOL.md, "Deletion Vector File Storage Format".
func TestCheck_DeletionVectorsAreIntact(t *testing.T) {
	const path = "ab/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin"
	data := "\xd1\xd3\x39\x64 and the rows"
	good := vectorFile(data)
	flipped := append([]byte{}, good...)
	flipped[10] ^= 1
	for _, c := range []struct {
		name         string
		file         []byte
		offset, size int32
		cardinality  int64
		want         string
	}{
		{"good", good, 1, int32(len(data)), 1, ""},
		{"all rows", good, 1, int32(len(data)), 3, ""},
		{"more rows than there are", good, 1, int32(len(data)), 4, "takes out 4 rows, of 3"},
		{"cut", good[:len(good)-1], 1, int32(len(data)), 1, "are not in a file of"},
		{"another place", good, 2, int32(len(data)) - 1, 1, "the log says"},
		{"another size", good, 1, int32(len(data)) - 1, 1, "the log says"},
		{"damaged", flipped, 1, int32(len(data)), 1, "are damaged"},
		{"none", vectorFile("nothing here"), 1, 12, 1, "there is none"},
		{"before the file", good, -1, int32(len(data)), 1, "are not in a file of"},
		{"no bytes", good, 1, 0, 1, "are not in a file of"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := build(t, "(i INT)")
			must(t, b.store.Put(t.Context(), path, c.file))
			b.put("f.parquet", b.schema(), chunk(t, b.schema(), `{"i":1}`, `{"i":2}`, `{}`))
			b.addFile(delta.Add{Path: "f.parquet", Stats: `{"numRecords":3}`, DeletionVector: &delta.DeletionVector{
				StorageType: "u", PathOrInlineDV: "ab^-aqEH.-t@S}K{vb[*k^", Offset: &c.offset, SizeInBytes: c.size, Cardinality: c.cardinality,
			}})
			if c.want == "" {
				b.wantSound(Options{})
				return
			}
			b.wantFaults(Options{}, c.want)
			b.wantFaults(Options{Quick: true}, c.want)
		})
	}
}

// A store that fails is no fault of the table.
func TestCheck_DeletionVectorThatCannotBeRead(t *testing.T) {
	b := build(t, "(i INT)")
	data := "\xd1\xd3\x39\x64 and the rows"
	must(t, b.store.Put(t.Context(), "deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin", vectorFile(data)))
	b.put("f.parquet", b.schema(), chunk(t, b.schema(), `{"i":1}`))
	b.addFile(delta.Add{Path: "f.parquet", Stats: `{"numRecords":1}`, DeletionVector: &delta.DeletionVector{
		StorageType: "u", PathOrInlineDV: "^-aqEH.-t@S}K{vb[*k^", Offset: new(int32(1)), SizeInBytes: int32(len(data)), Cardinality: 1,
	}})
	b.wantSound(Options{})
	lost := errors.New("lost")
	store := lake.Faulty(b.store, func(op lake.Op) (error, error) {
		if op.Name == "open" && strings.HasPrefix(op.Path, "deletion_vector") {
			return lost, nil
		}
		return nil, nil
	})
	if _, err := Check(t.Context(), store, Options{}); !errors.Is(err, lost) {
		t.Errorf("got %v", err)
	}
}
