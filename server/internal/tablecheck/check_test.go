package tablecheck

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/lake"
)

const everyType = `(
	b BOOLEAN, i8 TINYINT, i16 SMALLINT, i32 INT, i64 BIGINT NOT NULL, f32 FLOAT, f64 DOUBLE, d9 DECIMAL(9,2), d18 DECIMAL(18,4), d38 DECIMAL(38,10),
	s STRING, short VARCHAR(5), bin BINARY, day DATE, ts TIMESTAMP, ntz TIMESTAMP_NTZ,
	st STRUCT<x: INT, y: STRUCT<z: STRING>>, arr ARRAY<STRUCT<q: BIGINT, r: STRING>>, m MAP<STRING, INT>, v VARIANT, deep ARRAY<MAP<STRING, ARRAY<INT>>>)`

const fullRow = `{"b":true,"i8":-128,"i16":-32768,"i32":7,"i64":%d,"f32":0.1,"f64":-0.0,"d9":"1.50","d18":"-0.0001","d38":"1234567890123456789012345678.0123456789",
	"s":"%s","short":"ab","bin":"AAEC","day":-719162,"ts":-1,"ntz":1700000000123456,"st":{"x":1,"y":{"z":"äöü"}},"arr":[{"q":1,"r":"a"},{"q":2}],
	"m":{"k":1},"v":"{\"a\":[1,2]}","deep":[{"a":[1,2],"b":[]},{}]}`

const emptyRow = `{"i64":0}`

// spec/delta.md §9.3, §9.4, §9.5, §9.6: what the server writes has no fault.
func TestCheck_GoodTablesAreSound(t *testing.T) {
	t.Run("every type", func(t *testing.T) {
		b := build(t, everyType)
		b.add(fmt.Sprintf(fullRow, 1, "a"), emptyRow, fmt.Sprintf(fullRow, -1, strings.Repeat("x", 100)), fmt.Sprintf(fullRow, 1<<53, strings.Repeat("\U0010FFFF", 40)), emptyRow)
		b.add(emptyRow, emptyRow)
		b.add(fmt.Sprintf(fullRow, 9223372036854775807, strings.Repeat("~", 33)))
		r := b.wantSound(Options{})
		if r.Files != 3 || r.Rows != 8 || r.Version != 3 {
			t.Errorf("%d files, %d rows, version %d", r.Files, r.Rows, r.Version)
		}
		for check, want := range map[string]int64{Log: 4, Files: 3, Schema: 3, Partitions: 3, Values: 8} {
			if got := r.result(check).Looked; got != want {
				t.Errorf("%s looked at %d, want %d", check, got, want)
			}
		}
		if got := r.result(Statistics).Looked; got < 60 {
			t.Errorf("%d figures", got)
		}
		b.wantSound(Options{Quick: true})
	})
	t.Run("partitioned", func(t *testing.T) {
		for _, typ := range []string{"BOOLEAN", "TINYINT", "BIGINT", "DOUBLE", "DECIMAL(5,2)", "STRING", "DATE", "TIMESTAMP", "TIMESTAMP_NTZ"} {
			b := build(t, "(id BIGINT, k "+typ+", n STRUCT<a: INT>) PARTITIONED BY (k)")
			value := map[string]string{"BOOLEAN": "true", "STRING": `"a b/%"`, "DECIMAL(5,2)": `"-1.20"`}[typ]
			if value == "" {
				value = "12"
			}
			b.add(`{"id":1,"k":`+value+`,"n":{"a":1}}`, `{"id":2}`, `{"id":3,"k":`+value+`}`)
			b.wantSound(Options{})
		}
	})
	t.Run("many versions, a checkpoint and new columns", func(t *testing.T) {
		b := build(t, "(id BIGINT NOT NULL, s STRUCT<a: INT>)")
		for i := range 20 {
			b.add(fmt.Sprintf(`{"id":%d,"s":{"a":%d}}`, i, i))
			if i == 10 {
				b.alter(schema.Field{Name: "late", Type: schema.Type{Kind: schema.String}, Nullable: true})
				b.add(`{"id":1,"late":"x"}`, `{"id":2}`)
			}
		}
		if _, err := b.delta.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
		if r := b.wantSound(Options{}); r.result(Checkpoints).Looked != 1 {
			t.Error("the checkpoint was not looked at")
		}
	})
	t.Run("without files", func(t *testing.T) { build(t, "(id BIGINT)").wantSound(Options{}) })
	t.Run("NaN and infinities", func(t *testing.T) {
		b := build(t, "(f FLOAT, d DOUBLE)")
		c := chunk(t, b.schema(), `{"f":1,"d":1}`, `{"f":2,"d":2}`, `{"f":3,"d":3}`)
		for _, values := range [][]float64{{nan(), 1, 2}, {nan(), nan(), nan()}, {inf(1), 0, inf(-1)}} {
			for i, v := range values {
				c.Cols[0].F32[i], c.Cols[1].F64[i] = float32(v), v
			}
			path := fmt.Sprintf("f%v.parquet", values[0])
			if values[1] != values[1] {
				path = "all.parquet"
			}
			res := b.put(path, b.schema(), c)
			b.addFile(delta.Add{Path: path, Stats: res.Stats})
		}
		b.wantSound(Options{})
	})
}

// spec/delta.md §9.6.
func TestCheck_DT06_LogFaultsAreFound(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(b *built)
		want []string
	}{
		{"a txn goes back", func(b *built) { b.edit(3, `"version":3`, `"version":1`) }, []string{"log: version 3: txn app goes from 2 to 1"}},
		{"a version is missing", func(b *built) { must(b, b.store.Delete(b.Context(), logPath(2, "json"))) }, []string{"log: version 3: version 2 is missing"}},
		{"a file is added twice", func(b *built) { b.edit(3, "part-2.parquet", "part-1.parquet") }, []string{"log: version 3: add of part-1.parquet, which version 2", "column id: minValues is 2", "column id: maxValues is 2"}},
		{"a file is not there", func(b *built) { must(b, b.store.Delete(b.Context(), "part-1.parquet")) }, []string{"files: version 2: file part-1.parquet: part-1.parquet is not there"}},
		{"a file was cut", func(b *built) {
			data, err := b.store.Get(b.Context(), "part-1.parquet")
			must(b, err)
			must(b, b.store.Put(b.Context(), "part-1.parquet", data[:len(data)-10]))
		}, []string{"files: version 2: file part-1.parquet: it has", "schema: version 2: file part-1.parquet: the file does not end as"}},
		{"a size is wrong", func(b *built) { b.edit(2, `"size":`, `"size":1`) }, []string{"files: version 2: file part-1.parquet: it has"}},
		{"a path is not encoded", func(b *built) { b.edit(2, "part-1.parquet", "part%.parquet") }, []string{"the path is not URI-encoded"}},
		{"a deletion vector is not there", func(b *built) {
			b.edit(2, `"dataChange":true`, `"dataChange":true,"deletionVector":{"storageType":"u","pathOrInlineDv":"ab^-aqEH.-t@S}K{vb[*k^","offset":4,"sizeInBytes":40,"cardinality":1}`)
		}, []string{"files: version 2: file part-1.parquet: ab/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin is not there"}},
		{"no JSON", func(b *built) { b.edit(2, `{"add"`, `{"add`) }, []string{"log: version 2: line"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := build(t, "(id BIGINT, s STRING)")
			for i := range 3 {
				b.add(fmt.Sprintf(`{"id":%d,"s":"a"}`, i), `{}`)
			}
			b.wantSound(Options{})
			c.do(b)
			b.wantFaults(Options{}, c.want...)
		})
	}
}

func must(t interface {
	Helper()
	Fatal(...any)
}, err error,
) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// spec/delta.md §9.2 and PROTOCOL.md, "Checkpoints".
func TestCheck_StaleCheckpointIsFound(t *testing.T) {
	b := build(t, "(id BIGINT)")
	b.add(`{"id":1}`)
	if _, err := b.delta.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.add(`{"id":2}`)
	data, err := b.store.Get(t.Context(), logPath(1, "checkpoint.parquet"))
	must(t, err)
	must(t, b.store.Put(t.Context(), logPath(2, "checkpoint.parquet"), data))
	b.wantFaults(Options{}, "checkpoints: version 2: file "+logPath(2, "checkpoint.parquet"))
}

// spec/delta.md §9.10.
func TestCheck_DT10_WrongChecksumIsFound(t *testing.T) {
	b := build(t, "(id BIGINT)")
	b.add(`{"id":1}`)
	must(t, b.store.Put(t.Context(), logPath(1, "crc"), []byte(`{"tableSizeBytes":1,"numFiles":1,"numMetadata":1,"numProtocol":1}`)))
	b.wantFaults(Options{}, "checksums: version 1: file "+logPath(1, "crc")+": "+logPath(1, "crc")+": tableSizeBytes is 1", "metadata is missing", "protocol is missing")
}

// spec/delta.md §9.4.
func TestCheck_DT04_PartitionValuesAreValuesOfTheirTypes(t *testing.T) {
	for _, c := range []struct{ value, want string }{
		{`{"k":"x"}`, `partitions: version 1: file k=12/part-0.parquet: column k: "x" is no int`},
		{`{}`, "column k: the file has no value"},
		{`{"k":"1","j":"2"}`, "column j: the table is not partitioned by it"},
		{`{"k":null}`, "column k: the column is NOT NULL"},
		{`{"k":""}`, "column k: the column is NOT NULL"},
	} {
		b := build(t, "(id BIGINT, k INT NOT NULL) PARTITIONED BY (k)")
		b.add(`{"id":1,"k":12}`)
		b.edit(1, `"partitionValues":{"k":"12"}`, `"partitionValues":`+c.value)
		b.wantFaults(Options{}, c.want)
		b.wantFaults(Options{Quick: true}, c.want)
	}
}

// Spark partitions tables by binary columns too. Their values are not read here, which is no fault of the table.
func TestCheck_PartitionValuesOfOtherTypesAreLeftAlone(t *testing.T) {
	b := build(t, "(id BIGINT, k STRING) PARTITIONED BY (k)")
	b.add(`{"id":1,"k":"a"}`)
	b.edit(0, `\"k\",\"type\":\"string\"`, `\"k\",\"type\":\"binary\"`)
	r := b.check(Options{})
	if len(r.Faults) != 0 || r.Sound || r.result(Partitions).Unchecked != 1 {
		t.Errorf("faults %v, not checked %v", r.Faults, r.Unchecked)
	}
}

// spec/delta.md §9.9: what is loose is told by what will become of it, and is no fault.
func TestCheck_DT09_LooseFilesAreNoFault(t *testing.T) {
	b := build(t, "(id BIGINT)")
	b.add(`{"id":1}`)
	b.add(`{"id":2}`)
	now := time.Now()
	b.commit(map[string]any{"remove": map[string]any{"path": "part-0.parquet", "dataChange": true, "deletionTimestamp": now.UnixMilli()}})
	must(t, b.store.Put(t.Context(), "d/left.parquet", []byte("abc")))
	states := func(r *Report) (out []string) {
		for _, f := range r.Loose.List {
			out = append(out, f.Path+" "+f.State)
		}
		return out
	}
	r := b.wantSound(Options{})
	if got := fmt.Sprint(states(r)); got != "[d/left.parquet new part-0.parquet removed]" || r.Loose.New != (Amount{1, 3}) || r.Loose.Removed.Files != 1 {
		t.Errorf("%s, %+v", got, r.Loose)
	}
	later := func() time.Time { return now.Add(8 * 24 * time.Hour) }
	if got := fmt.Sprint(states(b.wantSound(Options{Now: later}))); got != "[d/left.parquet expired part-0.parquet expired]" {
		t.Error(got)
	}
}

func TestCheck_WithoutATableIsAnError(t *testing.T) {
	if _, err := Check(t.Context(), lake.NewMemory(), Options{}); !errors.Is(err, delta.ErrNoTable) {
		t.Error(err)
	}
}

// A store that fails is an error and no fault of the table.
func TestCheck_ErrorsOfTheStoreAreNoFaults(t *testing.T) {
	b := build(t, "(id BIGINT, s STRING)")
	b.add(`{"id":1,"s":"a"}`, `{"id":2}`)
	lost := errors.New("lost")
	for n := int64(1); ; n++ {
		failed := false
		store := lake.Faulty(b.store, func(op lake.Op) (error, error) {
			if op.N == n && op.Path != "_delta_log/_last_checkpoint" { // without which everything is listed
				failed = true
				return lost, nil
			}
			return nil, nil
		})
		r, err := Check(t.Context(), store, Options{})
		if !failed && n > 6 {
			if n < 12 {
				t.Errorf("%d operations only", n-1)
			}
			return
		}
		if failed && !errors.Is(err, lost) {
			t.Errorf("operation %d failed: error %v, report %+v", n, err, r)
		}
	}
}
