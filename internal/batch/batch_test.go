package batch

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/zerobus-go/zerobus/internal/wire"
)

func newBuilder(pool *Pool, limits Limits) *Builder {
	b := new(Builder)
	b.Init(pool, limits)
	return b
}

// commit appends the framed records of one call, sealing when they do not fit. It returns what was sealed.
func commit(b *Builder, framed []byte, records int) (sealed Range) {
	if !b.Ready(len(framed)) {
		if !b.Fits(len(framed), records) {
			sealed = b.Seal()
			b.Grow(len(framed))
		}
		b.Prepare(len(framed))
	}
	copy(b.Space(len(framed))[:len(framed)], framed)
	b.Commit(len(framed), records)
	return sealed
}

// add appends a record, sealing when it does not fit, and returns what was sealed.
func add(b *Builder, rec string) (sealed Range) {
	return commit(b, wire.AppendRecord(nil, []byte(rec)), 1)
}

func addBatch(b *Builder, recs ...string) (sealed Range) {
	var framed []byte
	for _, r := range recs {
		framed = wire.AppendRecord(framed, []byte(r))
	}
	return commit(b, framed, len(recs))
}

// show prints the calls of a range: records with spaces between them, calls with bars.
func show(r *Range) string {
	var calls []string
	for call := range r.Calls() {
		calls = append(calls, string(bytes.Join(call, []byte(" "))))
	}
	return strings.Join(calls, "|")
}

func TestBuilder_Seals(t *testing.T) {
	tests := []struct {
		name   string
		limits Limits
		add    func(b *Builder) []Range
		want   []string // sealed, the open one last
	}{
		{"nothing", Limits{100, 0}, func(b *Builder) []Range { return nil }, []string{""}},
		{"gathers", Limits{100, 0}, func(b *Builder) []Range {
			return []Range{add(b, "a"), add(b, "b"), add(b, "c")}
		}, []string{"a|b|c"}},
		{"at the record limit", Limits{100, 2}, func(b *Builder) []Range {
			return []Range{add(b, "a"), add(b, "b"), add(b, "c")}
		}, []string{"a|b", "c"}},
		{"at the byte limit", Limits{6, 0}, func(b *Builder) []Range {
			return []Range{add(b, "a"), add(b, "b"), add(b, "c")}
		}, []string{"a|b", "c"}},
		{"before a batch that does not fit", Limits{100, 3}, func(b *Builder) []Range {
			return []Range{add(b, "a"), addBatch(b, "b", "c", "d"), add(b, "e")}
		}, []string{"a", "b c d", "e"}},
		{"never within a batch", Limits{4, 1}, func(b *Builder) []Range {
			return []Range{addBatch(b, "a", "b", "c"), addBatch(b, "d", "e")}
		}, []string{"a b c", "d e"}},
		{"batches share a range", Limits{100, 0}, func(b *Builder) []Range {
			return []Range{add(b, "a"), addBatch(b, "b", "c"), add(b, "d"), addBatch(b, "e"), addBatch(b, "f", "g")}
		}, []string{"a|b c|d|e|f g"}},
		{"a record larger than the limit", Limits{4, 0}, func(b *Builder) []Range {
			return []Range{add(b, "a"), add(b, "bbbbbbbb"), add(b, "c")}
		}, []string{"a", "bbbbbbbb", "c"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBuilder(&Pool{}, tt.limits)
			var got []string
			records, offsets := 0, 0
			ranges := append(tt.add(b), b.Seal())
			for i, r := range ranges {
				if r.Records() == 0 && i < len(ranges)-1 {
					continue
				}
				got = append(got, show(&r))
				records += r.Records()
				offsets += r.Offsets()
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("ranges %q; want %q", got, tt.want)
			}
			all := strings.Join(tt.want, "|")
			if want := len(strings.FieldsFunc(all, func(r rune) bool { return r == ' ' || r == '|' })); records != want {
				t.Errorf("%d records; want %d", records, want)
			}
			if all != "" && offsets != strings.Count(all, "|")+1 {
				t.Errorf("%d offsets in %q", offsets, all)
			}
		})
	}
}

func TestBuilder_UT03_CountsAndIteration(t *testing.T) {
	var empty Range
	for range empty.Calls() {
		t.Error("the empty range has a call")
	}
	if empty.Records() != 0 || empty.Offsets() != 0 || empty.Len() != 0 || empty.Body() != nil {
		t.Errorf("the empty range has %d records, %d offsets, %d bytes", empty.Records(), empty.Offsets(), empty.Len())
	}
	b := newBuilder(&Pool{}, Limits{Bytes: ChunkSize})
	add(b, "a")
	addBatch(b, "bb", "", "ccc")
	add(b, "")
	if b.Open() != 5 {
		t.Errorf("%d records are open; want 5", b.Open())
	}
	r := b.Seal()
	if r.Records() != 5 || r.Offsets() != 3 || r.Len() != 5*2+6 || b.Open() != 0 {
		t.Errorf("%d records, %d offsets, %d bytes; want 5, 3 and 16", r.Records(), r.Offsets(), r.Len())
	}
	for range 2 { // it may be read again, and left early
		if got := show(&r); got != "a|bb  ccc|" {
			t.Errorf("calls %q", got)
		}
		for range r.Calls() {
			break
		}
	}
}

func TestBuilder_ARangeEndsWithItsChunk(t *testing.T) {
	b := newBuilder(&Pool{}, Limits{Bytes: ChunkSize})
	add(b, "the chunk is not empty")
	b.Seal()
	big := strings.Repeat("x", ChunkSize/2)
	var ranges []Range
	for range 3 {
		if r := add(b, big); r.Records() > 0 {
			ranges = append(ranges, r)
		}
	}
	ranges = append(ranges, b.Seal())
	if len(ranges) != 3 {
		t.Fatalf("%d ranges; want 3: two such records do not fit into a chunk", len(ranges))
	}
}

// A bound above the common size of chunks has larger chunks, and they are used again.
func TestBuilder_LargeRanges(t *testing.T) {
	pool := &Pool{}
	b := newBuilder(pool, Limits{Bytes: 3*ChunkSize - 1})
	big := strings.Repeat("x", ChunkSize/2)
	for range 5 {
		if r := add(b, big); r.Records() > 0 {
			t.Fatalf("a range of %d records; five such records have room in one", r.Records())
		}
	}
	r := b.Seal()
	b.Close()
	b.Release(&r)
	if buf := pool.Get(3 * ChunkSize); cap(*buf) != 3*ChunkSize {
		t.Errorf("a buffer of %d bytes", cap(*buf))
	}
}

func TestBuilder_Split(t *testing.T) {
	pool := &Pool{}
	b := newBuilder(pool, Limits{Bytes: ChunkSize})
	var all []string
	for i := range 7 {
		if i%3 == 1 {
			var framed []byte
			for k := range i {
				framed = wire.AppendRecord(framed, []byte(fmt.Sprintf("%d.%d", i, k)))
			}
			commit(b, framed, i)
		} else {
			commit(b, wire.AppendRecord(nil, []byte(fmt.Sprint(i))), 1)
		}
	}
	r := b.Seal()
	for call := range r.Calls() {
		all = append(all, fmt.Sprintf("%s", call))
	}
	// Halve until every range is one call, and look at what is in them.
	var got []string
	var split func(r Range)
	split = func(r Range) {
		if r.Offsets() > 1 {
			first, rest := b.Split(&r)
			if first.Offsets()+rest.Offsets() < 2 || first.Offsets() == 0 || r.Records() != 0 {
				t.Fatalf("split into %d and %d calls", first.Offsets(), rest.Offsets())
			}
			split(first)
			split(rest)
			return
		}
		n := 0
		for call := range r.Calls() {
			got = append(got, fmt.Sprintf("%s", call))
			n += len(call)
		}
		if n != r.Records() {
			t.Errorf("%d records; the range says %d", n, r.Records())
		}
		b.Release(&r)
	}
	split(r)
	if fmt.Sprint(got) != fmt.Sprint(all) {
		t.Errorf("calls %v; want %v", got, all)
	}
	b.Close()
	if len(pool.free) != 1 {
		t.Errorf("%d free chunks after everything was released; want 1", len(pool.free))
	}
}

func TestBuilder_LargeRecordHasALargerChunk(t *testing.T) {
	pool := &Pool{}
	b := newBuilder(pool, Limits{Bytes: ChunkSize})
	add(b, "a")
	first := add(b, strings.Repeat("x", 3*ChunkSize))
	large := add(b, "b")
	last := b.Seal()
	if got := large.Len(); got != wire.RecordSize(3*ChunkSize) {
		t.Errorf("the large range has %d bytes", got)
	}
	if show(&first) != "a" || show(&last) != "b" {
		t.Errorf("%q, %q around the large record", show(&first), show(&last))
	}
	b.Release(&first)
	b.Release(&large)
	b.Release(&last)
	if len(pool.free) != 1 {
		t.Errorf("%d free chunks; want the first one only: the large one is not kept, the last one is in use", len(pool.free))
	}
}

func TestRange_OnlyIsTheBareRecord(t *testing.T) {
	for _, rec := range []string{"", "x", strings.Repeat("y", 127), strings.Repeat("z", 128), strings.Repeat("w", 100_000)} {
		b := newBuilder(&Pool{}, Limits{Bytes: ChunkSize})
		add(b, rec)
		r := b.Seal()
		only, whole := r.Only(), r.Buffer()
		if string(only.ReadOnlyData()) != rec {
			t.Errorf("a record of %d bytes comes back with %d", len(rec), only.Len())
		}
		if !bytes.Equal(whole.ReadOnlyData(), wire.AppendRecord(nil, []byte(rec))) {
			t.Errorf("the body of a record of %d bytes is not its framing", len(rec))
		}
		only.Free()
		whole.Free()
	}
}

// A chunk that a connection still reads must not be written again, also after its ranges were acknowledged elsewhere.
func TestPool_ChunkReturnsAfterTheLastReader(t *testing.T) {
	pool := &Pool{}
	b := newBuilder(pool, Limits{Bytes: ChunkSize})
	add(b, "kept")
	r := b.Seal()
	reader := r.Buffer()
	add(b, strings.Repeat("x", ChunkSize)) // another chunk
	b.Release(&r)
	if len(pool.free) != 0 {
		t.Fatal("the chunk is free while it is read")
	}
	if string(reader.ReadOnlyData()) != "\x0a\x04kept" {
		t.Errorf("the reader sees %q", reader.ReadOnlyData())
	}
	reader.Free()
	if len(pool.free) != 1 {
		t.Fatal("the chunk is not free after its last reader")
	}
	if got := pool.Get(10); cap(*got) != ChunkSize || len(pool.free) != 0 {
		t.Error("the free chunk is not used again")
	}
}

func TestPool_ChunkInUseIsNotFreed(t *testing.T) {
	pool := &Pool{}
	b := newBuilder(pool, Limits{Bytes: ChunkSize})
	for i := range 100 {
		add(b, fmt.Sprint(i))
		r := b.Seal()
		b.Release(&r)
	}
	if len(pool.free) != 0 {
		t.Error("the builder's own chunk was freed")
	}
	if b.cur.live != 0 || b.used == 0 {
		t.Errorf("chunk with %d ranges, %d bytes", b.cur.live, b.used)
	}
}

func TestBuilder_CloseFreesWhatNothingNeeds(t *testing.T) {
	for _, kept := range []bool{false, true} {
		pool := &Pool{}
		b := newBuilder(pool, Limits{Bytes: ChunkSize})
		b.Close() // nothing yet
		add(b, "a")
		r := b.Seal()
		if !kept {
			b.Release(&r)
		}
		b.Close()
		if free := len(pool.free) == 1; free == kept {
			t.Errorf("range kept: %v, chunk free: %v", kept, free)
		}
		if kept && show(&r) != "a" {
			t.Errorf("the kept range has %q", show(&r))
		}
	}
}

func TestPool_ChunkThatIsLeftEmptyReturns(t *testing.T) {
	pool := &Pool{}
	b := newBuilder(pool, Limits{Bytes: ChunkSize})
	add(b, "a")
	r := b.Seal()
	b.Release(&r)
	add(b, strings.Repeat("x", ChunkSize)) // another chunk
	if len(pool.free) != 1 {
		t.Errorf("%d free chunks; want the one that was left", len(pool.free))
	}
}

func TestPool_KeepsFewChunks(t *testing.T) {
	pool := &Pool{}
	var chunks []*[]byte
	for range 3 * keepFree {
		chunks = append(chunks, pool.Get(ChunkSize))
	}
	for _, c := range chunks {
		pool.Put(c)
	}
	if len(pool.free) != keepFree {
		t.Errorf("%d chunks are kept for good; want %d", len(pool.free), keepFree)
	}
}

func TestBuilder_AppendAllocatesNothing(t *testing.T) {
	b := newBuilder(&Pool{}, Limits{Bytes: ChunkSize})
	rec := wire.AppendRecord(nil, bytes.Repeat([]byte("x"), 100))
	commit(b, rec, 1)
	if n := testing.AllocsPerRun(1000, func() { commit(b, rec, 1) }); n != 0 {
		t.Errorf("%v allocations per record", n)
	}
}
