package parquetfile

import (
	"bytes"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"
)

// What this package writes means what it says.
func TestCheckMeaning_OwnFiles(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		table := drawNestedTable(rt, 2)
		file, _ := write(rt, table, Options{}, drawNestedChunks(rt, table)...)
		if err := CheckMeaning(bytes.NewReader(file), int64(len(file)), table); err != nil {
			rt.Fatal(err)
		}
	})
}

// LogicalTypes.md: the same physical type stands for different values.
func TestCheckMeaning_OtherAnnotations(t *testing.T) {
	micros, millis := parquet.Microsecond, parquet.Millisecond
	leaf := parquet.Leaf
	for name, c := range map[string]struct {
		typ  string
		node parquet.Node
		want string // of the error; empty for none
	}{
		"int":                          {"int", leaf(parquet.Int32Type), ""},
		"int of 8 bits":                {"int", parquet.Int(8), ""},
		"int without a sign":           {"int", parquet.Uint(32), "column c is INT(32,false) in the file"},
		"bigint without a sign":        {"bigint", parquet.Uint(64), "column c is INT(64,false)"},
		"date for an int":              {"int", parquet.Date(), "column c is DATE"},
		"int for a date":               {"date", leaf(parquet.Int32Type), "expected date"},
		"time for a bigint":            {"bigint", parquet.Timestamp(micros), "expected bigint"},
		"microseconds":                 {"timestamp", parquet.Timestamp(micros), ""},
		"milliseconds":                 {"timestamp", parquet.Timestamp(millis), "expected timestamp"},
		"nanoseconds":                  {"timestamp", parquet.Timestamp(parquet.Nanosecond), "expected timestamp"},
		"bigint for a timestamp":       {"timestamp", leaf(parquet.Int64Type), "expected timestamp"},
		"clock for a timestamp":        {"timestamp", parquet.TimestampAdjusted(micros, false), "expected timestamp"},
		"clock":                        {"timestamp_ntz", parquet.TimestampAdjusted(micros, false), ""},
		"timestamp for a clock":        {"timestamp_ntz", parquet.Timestamp(micros), "expected timestamp_ntz"},
		"decimal":                      {"decimal(9,2)", parquet.Decimal(2, 9, parquet.Int32Type), ""},
		"decimal of fewer digits":      {"decimal(20,2)", parquet.Decimal(2, 9, parquet.Int32Type), ""},
		"decimal of another scale":     {"decimal(9,2)", parquet.Decimal(3, 9, parquet.Int32Type), "expected decimal(9,2)"},
		"decimal of more digits":       {"decimal(5,2)", parquet.Decimal(2, 9, parquet.Int32Type), "expected decimal(5,2)"},
		"number for a decimal":         {"decimal(9,2)", leaf(parquet.Int32Type), "expected decimal(9,2)"},
		"string":                       {"string", parquet.String(), ""},
		"bytes for a string":           {"string", leaf(parquet.ByteArrayType), ""},
		"JSON for a string":            {"string", parquet.JSON(), "expected string"},
		"string for bytes":             {"binary", parquet.String(), ""},
		"float":                        {"float", leaf(parquet.FloatType), ""},
		"milliseconds in a list":       {"array<timestamp>", parquet.List(parquet.Timestamp(millis)), "column c.element is"},
		"milliseconds in a struct":     {"struct<a:timestamp>", parquet.Group{"a": parquet.Timestamp(millis)}, "column c.a is"},
		"milliseconds that nobody has": {"struct<b:int>", parquet.Group{"a": parquet.Timestamp(millis), "b": leaf(parquet.Int32Type)}, ""},
		"another physical type":        {"int", leaf(parquet.Int64Type), "column c is stored as INT64"},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			w := parquet.NewWriter(&b, parquet.NewSchema("schema", parquet.Group{"c": c.node}))
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			err := CheckMeaning(bytes.NewReader(b.Bytes()), int64(b.Len()), one(c.typ))
			switch {
			case c.want == "" && err != nil, c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("error is %v, want %q", err, c.want)
			}
		})
	}
}

// Spark marks files whose dates are of the Julian calendar before 1582.
func TestCheckMeaning_CalendarOfOld(t *testing.T) {
	var b bytes.Buffer
	w := parquet.NewWriter(&b, parquet.NewSchema("schema", parquet.Group{"c": parquet.Date()}), parquet.KeyValueMetadata("org.apache.spark.legacyDateTime", ""))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	err := CheckMeaning(bytes.NewReader(b.Bytes()), int64(b.Len()), one("date"))
	if err == nil || !strings.Contains(err.Error(), "calendar") {
		t.Errorf("error is %v", err)
	}
	if err := CheckMeaning(strings.NewReader("no file at all"), 14, one("date")); err == nil {
		t.Error("what is no file has a meaning")
	}
}
