package decode

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/zerobus-go/zerobus/schema"
)

// encoderPair is the client's encoder for a table, and the decoders of the records that go in and come out.
type encoderPair struct {
	table               *schema.Struct
	encoder             *schema.Encoder
	fromJSON, fromProto Decoder
}

func newEncoderPair(t tester, table *schema.Struct) *encoderPair {
	t.Helper()
	e, err := schema.NewEncoder(table)
	if err != nil {
		t.Fatal(err)
	}
	m, err := table.Descriptor("Record")
	if err != nil {
		t.Fatal(err)
	}
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return &encoderPair{table, e, jsonOf(t, table), protoOf(t, table, b)}
}

// check sends one record both ways: as JSON, and encoded as protobuf. Either both give the same row, or the encoder refuses
// it as the decoder does, for the same reason at the same place.
func (p *encoderPair) check(t tester, record []byte) bool {
	t.Helper()
	jsonChunk, protoChunk := chunkOf(t, p.table), chunkOf(t, p.table)
	encoded, encodeErr := p.encoder.AppendJSON(nil, record)
	if encodeErr != nil {
		got := new(schema.EncodeError)
		if !errors.As(encodeErr, &got) {
			t.Fatalf("record %q: error is a %T", record, encodeErr)
		}
		want := refused(t, p.fromJSON, jsonChunk, record)
		if same := (RecordError{got.Path, got.Reason, got.Line, got.Column}); same != *want && !lateEnd(got, want) {
			t.Fatalf("record %q: the encoder says %q, the decoder %q", record, got, want)
		}
		return false
	}
	want := accepted(t, p.fromJSON, jsonChunk, record)
	got := accepted(t, p.fromProto, protoChunk, encoded)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("record %q: %s", record, diff)
	}
	sameChunk(t, protoChunk, jsonChunk)
	return true
}

// lateEnd is the one case in which the reasons differ: of a record that lacks a value and goes on behind its end, the encoder
// names the value, the decoder the end.
func lateEnd(got *schema.EncodeError, want *RecordError) bool {
	return want.Reason == "trailing characters" && strings.HasPrefix(got.Reason, "no value, ")
}

// mutate damages a record in a way that often leaves JSON.
func mutate(rt *rapid.T, record []byte) []byte {
	at := rapid.IntRange(0, len(record)-1).Draw(rt, "at")
	switch rapid.IntRange(0, 4).Draw(rt, "mutation") {
	case 0:
		return record[:at]
	case 1:
		return append(record[:at:at], record[at+1:]...)
	case 2:
		record[at] ^= byte(1 << rapid.IntRange(0, 7).Draw(rt, "bit"))
	case 3:
		more := rapid.SampledFrom([]string{"0", "9", ".", "e5", "-", `"`, `\`, `\u0041`, ",", "}", "{", "[1]", " ", "\n", "null", "ü", "\xff"}).Draw(rt, "more")
		return append(append(record[:at:at], more...), record[at:]...)
	case 4:
		return append(record, record...)
	}
	return record
}

// TestEncoderAgreesWithDecoder draws tables of all types and records that fit them, nearly fit them, or are damaged.
func TestEncoderAgreesWithDecoder(t *testing.T) {
	var taken, refusals int
	rapid.Check(t, func(rt *rapid.T) {
		p := newEncoderPair(rt, drawTable(rt))
		for range 20 {
			var members []string
			for _, i := range rapid.Permutation(rangeOf(len(p.table.Fields))).Draw(rt, "order") {
				typ := &p.table.Fields[i].Type
				value := "null"
				switch n := rapid.IntRange(0, 20).Draw(rt, "value"); {
				case n == 0:
					value = rapid.SampledFrom(jsonTokens).Draw(rt, "token")
				case n == 1:
					value, _ = spoil(typ)
				case n == 2 && p.table.Fields[i].Nullable:
				case n == 3:
					continue
				case n == 4:
					value = strconv.FormatFloat(rapid.Float64().Draw(rt, "float"), 'g', rapid.IntRange(-1, 25).Draw(rt, "digits"), 64)
				default:
					value = jsonText(typ, drawCell(rt, typ))
				}
				members = append(members, fmt.Sprintf("%q: %s", p.table.Fields[i].Name, value))
			}
			record := []byte("{" + strings.Join(members, ",") + "}")
			if rapid.IntRange(0, 4).Draw(rt, "damage") == 0 {
				record = mutate(rt, record)
			}
			if p.check(rt, record) {
				taken++
			} else {
				refusals++
			}
		}
	})
	if taken == 0 || refusals == 0 {
		t.Errorf("%d records accepted, %d refused: the test sees one side only", taken, refusals)
	}
}

// jsonTokens are values that fit one type or another, or nearly.
var jsonTokens = []string{
	"true", "false", "null", "0", "-0", "1", "127", "128", "-129", "32768", "2147483648", "9223372036854775807", "9223372036854775808",
	"-9223372036854775809", "99999999999999999999", "1.0", "1e3", "1e400", "1e-400", "3.5e38", "3.4028235677973366e38", "01", "1.", "-", "+1",
	"NaN", `""`, `"x"`, `"äöü"`, `"fünf5"`, `"\u00e4\n"`, `"\ud83c\udf0d"`, `"\ud83c"`, `"AP8="`, `"AP8"`, `"AP9="`, `"12.34"`, `"1e2"`, `"+.5"`,
	"\"\xff\"", "\"\x01\"", `"unfinished`, "[]", "{}", "[1,{}]", "nul", "truee",
}

// encoderDiffColumns are those of the differential test of the JSON decoder whose names protobuf takes, and more that are NOT NULL.
const encoderDiffColumns = "b BOOLEAN, t TINYINT, s SMALLINT, i INT, l BIGINT, d DATE, ts TIMESTAMP, f FLOAT, dd DOUBLE, " +
	"str STRING, vc VARCHAR(3), bin BINARY, dec DECIMAL(5,2), big DECIMAL(38,10), must INT NOT NULL, word STRING NOT NULL"

func FuzzEncoder(f *testing.F) {
	for _, s := range []string{
		`{"must":1,"word":"","b":true,"t":-128,"s":1,"i":2,"l":9223372036854775807,"d":20000,"ts":1732312096123456}`,
		`{"f":1.5,"dd":-0.1e-5,"str":"a\n\u00e9\ud83c\udf0d","vc":"äöü","bin":"AP8=","dec":"12.34","big":1e27,"must":0,"word":"x"}`,
		` { "must" : 1 , "word":"ü" } `, `{"i":1,"i":2}`, `{"nope":[{},[1]]}`, `{"i":1.0}`, `{"dec":1e999}`, `{} x`, `{"must":null}`,
	} {
		f.Add([]byte(s))
	}
	p := newEncoderPair(f, tableOf(f, encoderDiffColumns))
	f.Fuzz(func(t *testing.T, record []byte) {
		p.check(t, record)
		p.check(t, record) // now in the order that both have learnt
	})
}
