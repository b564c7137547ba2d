package tablecheck

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
	"github.com/zerobus-go/zerobus/server/internal/decode"
	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/lake"
	"github.com/zerobus-go/zerobus/server/internal/parquetfile"
	"github.com/zerobus-go/zerobus/server/internal/partition"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// built is a table that the server's own stages have made.
type built struct {
	testing.TB
	store lake.Store
	delta *delta.Table
	files int
	txn   int64
}

// build creates a table with the columns and clauses of CREATE TABLE.
func build(t testing.TB, definition string) *built {
	t.Helper()
	ct, err := schema.ParseCreateTable("CREATE TABLE t " + definition)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(ct.Columns)
	if err != nil {
		t.Fatal(err)
	}
	b := &built{TB: t, store: lake.NewMemory()}
	b.delta, err = delta.Create(t.Context(), b.store, delta.CreateSpec{
		SchemaString: string(text), PartitionColumns: ct.PartitionBy, Configuration: ct.Properties,
		Protocol: delta.Protocol{MinReaderVersion: 1, MinWriterVersion: 2}.With("timestampNtz").With("variantType").With("deletionVectors"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *built) schema() *schema.Struct {
	b.Helper()
	s := new(schema.Struct)
	if err := json.Unmarshal([]byte(b.delta.Snapshot().Metadata.SchemaString), s); err != nil {
		b.Fatal(err)
	}
	return s
}

// chunk lays out records of JSON.
func chunk(t testing.TB, table *schema.Struct, records ...string) *column.Chunk {
	t.Helper()
	c, err := column.NewChunk(table)
	if err != nil {
		t.Fatal(err)
	}
	d, err := decode.NewJSON(table)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if err := d.Decode(c, []byte(r)); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// put writes a data file of the chunk under another schema of the same layouts, if one is given.
func (b *built) put(path string, table *schema.Struct, c *column.Chunk) parquetfile.Result {
	b.Helper()
	var buf bytes.Buffer
	res, err := parquetfile.Write(&buf, table, []*column.Chunk{c}, parquetfile.Options{RowGroupRows: 3})
	if err != nil {
		b.Fatal(err)
	}
	if err := b.store.Put(b.Context(), path, buf.Bytes()); err != nil {
		b.Fatal(err)
	}
	return res
}

// add commits records as the server would.
func (b *built) add(records ...string) {
	b.Helper()
	table := b.schema()
	c := chunk(b, table, records...)
	s, err := partition.New(table, b.delta.Snapshot().Metadata.PartitionColumns)
	if err != nil {
		b.Fatal(err)
	}
	var adds []delta.Add
	split := s.Split([]*column.Chunk{c})
	for {
		f, ok := split.Next(1 << 30)
		if !ok {
			break
		}
		path := f.Dir + fmt.Sprintf("part-%d.parquet", b.files)
		b.files++
		var buf bytes.Buffer
		res, err := parquetfile.Write(&buf, s.Files(), f.Chunks, parquetfile.Options{RowGroupRows: 3})
		if err != nil {
			b.Fatal(err)
		}
		if err := b.store.Put(b.Context(), path, buf.Bytes()); err != nil {
			b.Fatal(err)
		}
		adds = append(adds, delta.Add{
			Path: path, PartitionValues: f.Values, Size: res.Bytes, ModificationTime: 1, DataChange: true, Stats: b.delta.Snapshot().Tight(res.Stats),
		})
	}
	b.txn++
	if _, err := b.delta.Append(b.Context(), delta.Append{AppID: "app", TxnVersion: b.txn, Adds: adds, Rows: int64(c.Rows)}); err != nil {
		b.Fatal(err)
	}
}

// addFile commits a file as it is, with what is given of its add.
func (b *built) addFile(a delta.Add) {
	b.Helper()
	if a.PartitionValues == nil {
		a.PartitionValues = map[string]*string{}
	}
	r, err := b.store.Open(b.Context(), a.Path)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	a.Size, a.DataChange = r.Size(), true
	b.commit(map[string]any{"add": a})
}

// commit writes the next version by hand.
func (b *built) commit(actions ...any) {
	b.Helper()
	var buf bytes.Buffer
	for _, a := range actions {
		line, err := json.Marshal(a)
		if err != nil {
			b.Fatal(err)
		}
		buf.Write(append(line, '\n'))
	}
	if err := b.store.PutIfAbsent(b.Context(), logPath(b.delta.Snapshot().Version+1, "json"), buf.Bytes()); err != nil {
		b.Fatal(err)
	}
	if err := b.delta.Refresh(b.Context()); err != nil {
		b.Fatal(err)
	}
}

func logPath(version int64, ext string) string {
	return fmt.Sprintf("_delta_log/%020d.%s", version, ext)
}

// alter adds columns, as ALTER TABLE does.
func (b *built) alter(fields ...schema.Field) {
	b.Helper()
	table := b.schema()
	table.Fields = append(table.Fields, fields...)
	text, err := json.Marshal(table)
	if err != nil {
		b.Fatal(err)
	}
	m := b.delta.Snapshot().Metadata
	m.SchemaString = string(text)
	b.commit(map[string]any{"metaData": m})
}

// edit replaces text in a commit.
func (b *built) edit(version int64, old, new string) {
	b.Helper()
	path := logPath(version, "json")
	data, err := b.store.Get(b.Context(), path)
	if err != nil {
		b.Fatal(err)
	}
	if !bytes.Contains(data, []byte(old)) {
		b.Fatalf("version %d has no %s:\n%s", version, old, data)
	}
	if err := b.store.Put(b.Context(), path, bytes.ReplaceAll(data, []byte(old), []byte(new))); err != nil {
		b.Fatal(err)
	}
}

func (b *built) check(o Options) *Report {
	b.Helper()
	r, err := Check(b.Context(), b.store, o)
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// wantSound checks that there is no fault.
func (b *built) wantSound(o Options) *Report {
	b.Helper()
	r := b.check(o)
	for _, f := range r.Faults {
		b.Error(f)
	}
	for _, u := range r.Unchecked {
		b.Errorf("not checked: %+v", u)
	}
	if r.Sound == o.Quick {
		b.Errorf("it is called sound: %t", r.Sound)
	}
	return r
}

// wantFaults checks that there are these and no others, each by a part of its text.
func (b *built) wantFaults(o Options, want ...string) {
	b.Helper()
	r := b.check(o)
	if r.Sound {
		b.Error("it is called sound")
	}
	left := append([]string{}, want...)
next:
	for _, f := range r.Faults {
		for i, w := range left {
			if strings.Contains(f.String(), w) {
				left = append(left[:i], left[i+1:]...)
				continue next
			}
		}
		b.Errorf("another fault: %s", f)
	}
	for _, w := range left {
		b.Errorf("not found: %s", w)
	}
	if total, _ := r.Total(); total != len(r.Faults) {
		b.Errorf("%d faults counted, %d listed", total, len(r.Faults))
	}
}
