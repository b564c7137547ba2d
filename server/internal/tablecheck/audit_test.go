package tablecheck

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/delta"
)

// spec/delta.md §9.5. The file has the columns of one table, the log those of another.
func TestCheck_DT05_FilesHaveTheTypesOfTheTable(t *testing.T) {
	for _, c := range []struct{ file, table, record, want string }{
		{"(c TIMESTAMP_NTZ)", "(c TIMESTAMP)", `{"c":1}`, "column c: it is INT64 TIMESTAMP(MICROS, local) in the file, expected timestamp"},
		{"(c TIMESTAMP)", "(c TIMESTAMP_NTZ)", `{"c":1}`, "column c: it is INT64 TIMESTAMP(MICROS, UTC) in the file, expected timestamp_ntz"},
		{"(c BIGINT)", "(c TIMESTAMP)", `{"c":1}`, "it is INT64 in the file"},
		{"(c INT)", "(c BIGINT)", `{"c":1}`, "it is INT32 in the file, expected bigint"},
		{"(c INT)", "(c SMALLINT)", `{"c":1}`, "it is INT32 in the file, expected smallint"},
		{"(c SMALLINT)", "(c TINYINT)", `{"c":1}`, "it is INT32 INT(16) in the file"},
		{"(c INT)", "(c DATE)", `{"c":1}`, "it is INT32 in the file, expected date"},
		{"(c STRING)", "(c BINARY)", `{"c":"a"}`, "it is BYTE_ARRAY STRING in the file, expected binary"},
		{"(c BINARY)", "(c STRING)", `{"c":"AA=="}`, "it is BYTE_ARRAY in the file, expected string"},
		{"(c DECIMAL(9,2))", "(c DECIMAL(9,3))", `{"c":"1"}`, "it is INT32 DECIMAL(9,2) in the file"},
		{"(c DECIMAL(18,2))", "(c DECIMAL(19,2))", `{"c":"1"}`, "it is INT64 DECIMAL(18,2) in the file"},
		{"(c STRUCT<a: INT>)", "(c MAP<STRING, INT>)", `{"c":{"a":1}}`, "it is no map in the file"},
		{"(c MAP<STRING, INT>)", "(c STRUCT<a: INT>)", `{"c":{"a":1}}`, "it is a group MAP in the file"},
		{"(c ARRAY<INT>)", "(c INT)", `{"c":[1]}`, "it is a group LIST in the file"},
		{"(c STRUCT<a: INT>)", "(c ARRAY<INT>)", `{"c":{"a":1}}`, "it is no list in the file"},
		{"(c ARRAY<STRUCT<a: TIMESTAMP_NTZ>>)", "(c ARRAY<STRUCT<a: TIMESTAMP>>)", `{"c":[{"a":1}]}`, "column c.element.a: it is INT64 TIMESTAMP(MICROS, local)"},
		{"(c MAP<STRING, INT>)", "(c MAP<STRING, DATE>)", `{"c":{"a":1}}`, "column c.value: it is INT32 in the file"},
		{"(c STRUCT<a: INT>)", "(c VARIANT)", `{"c":{"a":1}}`, "the variant has no binary metadata"},
		{"(C INT)", "(c INT)", `{"C":1}`, `column c: the file has it as "C", in another case`},
		{"(c INT)", "(c INT, d INT NOT NULL)", `{"c":1}`, "column d: the column is NOT NULL, and the file has not got it"},
		{"(c INT, k INT)", "(c INT, k INT) PARTITIONED BY (k)", `{"c":1,"k":1}`, "column k: a partition column is in the file"},
		{"(c INT)", "(c INT, d INT)", `{"c":1}`, ""},
		{"(c INT, d INT)", "(c INT)", `{"c":1}`, ""},
		{"(c INT)", "(c INT NOT NULL)", `{"c":1}`, ""},
		{"(c INT NOT NULL)", "(c INT)", `{"c":1}`, ""},
	} {
		t.Run(c.file+" "+c.table, func(t *testing.T) {
			b := build(t, c.table)
			from, err := schema.ParseCreateTable("CREATE TABLE t " + c.file)
			must(t, err)
			b.put("f.parquet", &from.Columns, chunk(t, &from.Columns, c.record))
			a := delta.Add{Path: "f.parquet", Stats: `{"numRecords":1}`}
			if strings.Contains(c.table, "PARTITIONED") {
				a.PartitionValues = map[string]*string{"k": new("1")}
			}
			b.addFile(a)
			for _, quick := range []bool{false, true} {
				if c.want == "" {
					b.wantSound(Options{Quick: quick})
				} else {
					r := b.check(Options{Quick: quick})
					if len(r.Faults) != 1 || !strings.HasPrefix(r.Faults[0].String(), "schema: version 1: file f.parquet: ") || !strings.Contains(r.Faults[0].String(), c.want) {
						t.Errorf("faults %v, want %s", r.Faults, c.want)
					}
				}
			}
		})
	}
}

// PROTOCOL.md, "Type Widening": files from before a change have the type of then.
func TestCheck_Check5_FilesOfColumnsThatWereWidened(t *testing.T) {
	for _, c := range []struct {
		file, table, record string
		ok                  bool
	}{
		{"TINYINT", "SMALLINT", `1`, true},
		{"TINYINT", "INT", `1`, true},
		{"SMALLINT", "BIGINT", `1`, true},
		{"INT", "BIGINT", `1`, true},
		{"FLOAT", "DOUBLE", `1`, true},
		{"INT", "DOUBLE", `1`, true},
		{"INT", "DECIMAL(12,2)", `1`, true},
		{"BIGINT", "DECIMAL(20,0)", `1`, true},
		{"DECIMAL(5,2)", "DECIMAL(12,4)", `"1"`, true},
		{"DATE", "TIMESTAMP_NTZ", `1`, true},
		{"INT", "SMALLINT", `1`, false},
		{"BIGINT", "INT", `1`, false},
		{"DOUBLE", "FLOAT", `1`, false},
		{"DATE", "TIMESTAMP", `1`, false},
		{"STRING", "DECIMAL(5,2)", `"1"`, false},
	} {
		b := build(t, "(c "+c.table+")")
		from, err := schema.ParseCreateTable("CREATE TABLE t (c " + c.file + ")")
		must(t, err)
		b.put("f.parquet", &from.Columns, chunk(t, &from.Columns, `{"c":`+c.record+`}`))
		b.addFile(delta.Add{Path: "f.parquet"})
		b.edit(0, `"writerFeatures":[`, `"writerFeatures":["typeWidening",`)
		b.edit(0, `"readerFeatures":[`, `"readerFeatures":["typeWidening",`)
		if r := b.check(Options{}); (len(r.Faults) == 0) != c.ok {
			t.Errorf("%s to %s: faults %v", c.file, c.table, r.Faults)
		}
	}
}

// Spark writes timestamps as INT96 unless it is told otherwise.
func TestCheck_Check3_TimestampsOfTheOldForm(t *testing.T) {
	type row struct {
		C deprecated.Int96 `parquet:"c,optional"`
	}
	at := func(nanos int64, day int32) row {
		return row{deprecated.Int96{uint32(nanos), uint32(nanos >> 32), uint32(day)}}
	}
	file := parquetOf(t, []row{at(1_000, 2_440_588), at(86_399_999_999_000, 2_440_587), at(3_600_000_000_000, 2_460_311)})
	for least, fault := range map[string]string{
		"1969-12-31T23:59:59.999Z": "",
		"1970-01-01T00:00:00.000Z": "minValues is \"1970-01-01T00:00:00.000Z\", the file has the lesser value 1969-12-31T23:59:59.999999",
	} {
		b := build(t, "(c TIMESTAMP)")
		must(t, b.store.Put(t.Context(), "f.parquet", file))
		b.addFile(delta.Add{Path: "f.parquet", Stats: `{"numRecords":3,"minValues":{"c":"` + least + `"},"maxValues":{"c":"2024-01-01T01:00:00.000Z"},"nullCount":{"c":0}}`})
		if fault == "" {
			b.wantSound(Options{})
		} else {
			b.wantFaults(Options{}, fault)
		}
	}
	b := build(t, "(c TIMESTAMP)")
	must(t, b.store.Put(t.Context(), "f.parquet", parquetOf(t, []row{at(0, math.MaxInt32)})))
	b.addFile(delta.Add{Path: "f.parquet"})
	b.wantFaults(Options{}, "a timestamp has 0 nanoseconds of the day")
}

// Days and times that Spark 2 wrote, or a later one when it was asked to, are of another calendar than the statistics.
func TestCheck_Check3_CalendarOfOld(t *testing.T) {
	type row struct {
		C int32 `parquet:"c,optional,date"`
	}
	for key, value := range map[string]string{"org.apache.spark.legacyDateTime": "", "org.apache.spark.version": "2.4.8"} {
		var buf bytes.Buffer
		w := parquet.NewGenericWriter[row](&buf, parquet.KeyValueMetadata(key, value))
		_, err := w.Write([]row{{-141428}})
		must(t, err)
		must(t, w.Close())
		b := build(t, "(c DATE)")
		must(t, b.store.Put(t.Context(), "f.parquet", buf.Bytes()))
		b.addFile(delta.Add{Path: "f.parquet", Stats: `{"numRecords":1,"minValues":{"c":"1582-10-04"},"maxValues":{"c":"1582-10-04"},"nullCount":{"c":0}}`})
		if r := b.check(Options{}); len(r.Faults) != 0 || r.Sound {
			t.Errorf("%s: faults %v, not checked %v", key, r.Faults, r.Unchecked)
		}
	}
}

// Values that the column cannot hold, though the file's type can.
func TestCheck_ValuesAreThoseOfTheColumns(t *testing.T) {
	for _, c := range []struct{ file, table, record, want string }{
		{"(c INT)", "(c INT NOT NULL)", `{}`, "values: version 1: file f.parquet: column c: the column is NOT NULL, and 2 values are null"},
		{"(c STRUCT<a: INT>)", "(c STRUCT<a: INT NOT NULL>)", `{"c":{}}`, "column c.a: the column is NOT NULL, and 2 values are null"},
		{"(c STRUCT<a: INT>)", "(c STRUCT<a: INT NOT NULL>)", `{}`, ""},
		{"(c STRING)", "(c VARCHAR(3))", `{"c":"four"}`, "column c: a value is longer than varchar(3)"},
		{"(c STRING)", "(c VARCHAR(3))", `{"c":"äöü"}`, ""},
	} {
		b := build(t, c.table)
		from, err := schema.ParseCreateTable("CREATE TABLE t " + c.file)
		must(t, err)
		b.put("f.parquet", &from.Columns, chunk(t, &from.Columns, c.record, c.record))
		b.addFile(delta.Add{Path: "f.parquet"})
		if c.want == "" {
			b.wantSound(Options{})
		} else {
			b.wantFaults(Options{}, c.want)
		}
	}
	for _, c := range []struct {
		table string
		write any
		want  string
	}{
		{"(c TINYINT)", []struct {
			C int32 `parquet:"c,optional"`
		}{{300}}, "column c: it is INT32"},
		{"(c STRING)", []struct {
			C string `parquet:"c,optional"`
		}{{"\xff"}}, "column c: a value is not UTF-8"},
		{"(c DECIMAL(3,1))", []struct {
			C int32 `parquet:"c,decimal(1:3)"`
		}{{1000}}, "column c: the unscaled value 1000 is outside of decimal(3,1)"},
	} {
		b := build(t, c.table)
		must(t, b.store.Put(t.Context(), "f.parquet", parquetOf(t, c.write)))
		b.addFile(delta.Add{Path: "f.parquet"})
		b.wantFaults(Options{}, c.want)
	}
}

// parquetOf writes rows of another schema, by the library's own writer.
func parquetOf(t *testing.T, rows any) []byte {
	t.Helper()
	var buf bytes.Buffer
	list := reflect.ValueOf(rows)
	w := parquet.NewWriter(&buf, parquet.SchemaOf(list.Index(0).Interface()))
	for i := range list.Len() {
		must(t, w.Write(list.Index(i).Interface()))
	}
	must(t, w.Close())
	return buf.Bytes()
}

// A damaged page is found by what is read, and not called sound.
func TestCheck_DamagedPagesAreFound(t *testing.T) {
	b := build(t, "(i BIGINT, s STRING)")
	var rows []string
	for i := range 2000 {
		rows = append(rows, fmt.Sprintf(`{"i":%d,"s":"text %d"}`, i*i, i))
	}
	b.add(rows...)
	b.wantSound(Options{})
	data, err := b.store.Get(t.Context(), "part-0.parquet")
	must(t, err)
	data[200] ^= 0x55
	must(t, b.store.Put(t.Context(), "part-0.parquet", data))
	r := b.check(Options{})
	if r.Sound || r.result(Values).Faults == 0 {
		t.Errorf("faults %v", r.Faults)
	}
}

// hollow is a file with holes: nothing but its end is there.
type hollow struct {
	size int64
	end  string
}

func (h hollow) ReadAt(p []byte, at int64) (n int, err error) {
	clear(p)
	if from := h.size - int64(len(h.end)); at >= from {
		return copy(p, h.end[at-from:]), nil
	}
	return len(p), nil
}

// A file with holes may say that its footer has any size, and takes no room on its disk.
func TestOpen_TakesNoMemoryForAFooterThatIsNone(t *testing.T) {
	_, err := open(hollow{1 << 40, "\xff\xff\xff\xffPAR1"}, 1<<40)
	if !errors.Is(err, errUnread) || !strings.Contains(err.Error(), "more than the limit") {
		t.Errorf("got %v", err)
	}
}
