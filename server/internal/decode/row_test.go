package decode

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"pgregory.net/rapid"

	"github.com/zerobus-go/zerobus/schema"
)

// fieldKinds are the usual kinds of proto fields for each kind of column.
var fieldKinds = map[schema.Kind]string{
	schema.Boolean: "bool", schema.Byte: "int32", schema.Short: "sint32", schema.Integer: "int32", schema.Long: "int64",
	schema.Float: "float", schema.Double: "double", schema.Decimal: "string", schema.String: "string", schema.Binary: "bytes",
	schema.Date: "sfixed32", schema.Timestamp: "int64", schema.TimestampNTZ: "sfixed64",
}

// drawTable draws a table of scalar columns.
func drawTable(rt *rapid.T) *schema.Struct {
	kinds := []schema.Kind{
		schema.Boolean, schema.Byte, schema.Short, schema.Integer, schema.Long, schema.Float, schema.Double,
		schema.Decimal, schema.String, schema.Binary, schema.Date, schema.Timestamp, schema.TimestampNTZ,
	}
	table := &schema.Struct{}
	for i := range rapid.IntRange(1, 6).Draw(rt, "columns") {
		f := schema.Field{Name: fmt.Sprintf("c%d", i), Nullable: rapid.Bool().Draw(rt, "nullable")}
		f.Type.Kind = rapid.SampledFrom(kinds).Draw(rt, "kind")
		switch f.Type.Kind {
		case schema.Decimal:
			f.Type.Precision = rapid.IntRange(1, 38).Draw(rt, "precision")
			f.Type.Scale = rapid.IntRange(0, f.Type.Precision).Draw(rt, "scale")
		case schema.String:
			f.Type.Length = rapid.SampledFrom([]int{0, 0, 4}).Draw(rt, "length")
		}
		table.Fields = append(table.Fields, f)
	}
	return table
}

// drawCell draws a value that the type takes, as cell gives it.
func drawCell(rt *rapid.T, t *schema.Type) any {
	between := func(min, max int64) any {
		return rapid.OneOf(rapid.Int64Range(min, max), rapid.SampledFrom([]int64{min, max, 0})).Draw(rt, "integer")
	}
	switch t.Kind {
	case schema.Boolean:
		return rapid.Bool().Draw(rt, "bool")
	case schema.Byte:
		return between(math.MinInt8, math.MaxInt8)
	case schema.Short:
		return between(math.MinInt16, math.MaxInt16)
	case schema.Integer, schema.Date:
		return between(math.MinInt32, math.MaxInt32)
	case schema.Long, schema.Timestamp, schema.TimestampNTZ:
		return between(math.MinInt64, math.MaxInt64)
	case schema.Float:
		return rapid.Float32().Draw(rt, "float")
	case schema.Double:
		return rapid.Float64().Draw(rt, "double")
	case schema.String:
		if t.Length > 0 {
			return rapid.StringN(0, t.Length, -1).Draw(rt, "text")
		}
		return rapid.String().Draw(rt, "text")
	case schema.Binary:
		return string(rapid.SliceOf(rapid.Byte()).Draw(rt, "bytes"))
	}
	n, _ := new(big.Int).SetString(rapid.StringMatching(fmt.Sprintf("-?[0-9]{1,%d}", t.Precision)).Draw(rt, "digits"), 10)
	return n.String()
}

// decimalText writes an unscaled number with its point.
func decimalText(unscaled string, scale int) string {
	digits, negative := strings.CutPrefix(unscaled, "-")
	digits = strings.Repeat("0", max(0, scale+1-len(digits))) + digits
	s := digits[:len(digits)-scale]
	if scale > 0 {
		s += "." + digits[len(digits)-scale:]
	}
	if negative {
		s = "-" + s
	}
	return s
}

func jsonText(t *schema.Type, x any) string {
	switch x := x.(type) {
	case nil:
		return "null"
	case float32:
		return strconv.FormatFloat(float64(x), 'g', -1, 32)
	case float64:
		return strconv.FormatFloat(x, 'g', -1, 64)
	case string:
		switch t.Kind {
		case schema.Binary:
			x = base64.StdEncoding.EncodeToString([]byte(x))
		case schema.Decimal:
			x = decimalText(x, t.Scale)
		}
		b, _ := json.Marshal(x)
		return string(b)
	}
	return fmt.Sprint(x)
}

func (w wire) cell(num protowire.Number, t *schema.Type, x any) wire {
	switch x := x.(type) {
	case bool:
		return w.varint(num, protowire.EncodeBool(x))
	case float32:
		return w.fixed32(num, math.Float32bits(x))
	case float64:
		return w.fixed64(num, math.Float64bits(x))
	case string:
		if t.Kind == schema.Decimal {
			x = decimalText(x, t.Scale)
		}
		return w.text(num, x)
	case int64:
		switch fieldKinds[t.Kind] {
		case "sint32":
			return w.varint(num, protowire.EncodeZigZag(x))
		case "sfixed32":
			return w.fixed32(num, uint32(x))
		case "sfixed64":
			return w.fixed64(num, uint64(x))
		}
		return w.int(num, x)
	}
	panic(fmt.Sprintf("%T", x))
}

// spoil is the JSON and the wire form of a value that the column refuses.
func spoil(t *schema.Type) (string, func(w wire, num protowire.Number) wire) {
	switch t.Kind {
	case schema.Byte, schema.Short, schema.Integer, schema.Date:
		return "1e99", func(w wire, num protowire.Number) wire { return w.text(num, "") }
	case schema.String:
		return `"begun \u00e4 and \x"`, func(w wire, num protowire.Number) wire { return w.text(num, "begun \xff") }
	case schema.Binary:
		return `"A==="`, func(w wire, num protowire.Number) wire { return append(w.text(num, "begun"), 0xff) }
	case schema.Decimal:
		return `"1e38"`, func(w wire, num protowire.Number) wire { return w.text(num, "1e38") }
	}
	return `"no"`, func(w wire, num protowire.Number) wire { return w.group(num, nil) }
}

// TestRowsComeBack writes random rows of random tables in both encodings, refuses some at each column, and reads the chunks
// back: each holds exactly the rows that were good, and is the same as one that never saw the others.
func TestRowsComeBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		table := drawTable(rt)
		m := &descriptorpb.DescriptorProto{Name: proto.String("M")}
		for i, f := range table.Fields {
			m.Field = append(m.Field, pf(f.Name+" "+fieldKinds[f.Type.Kind], int32(i+1)))
		}
		fromJSON, fromProto := jsonOf(rt, table), protoOf(rt, table, marshal(t, m))
		jsonChunk, protoChunk, clean := chunkOf(rt, table), chunkOf(rt, table), chunkOf(rt, table)
		cleanDecoder := protoOf(rt, table, marshal(t, m))
		var want [][]any
		for range rapid.IntRange(1, 12).Draw(rt, "rows") {
			row := make([]any, len(table.Fields))
			order := rapid.Permutation(rangeOf(len(row))).Draw(rt, "order")
			refuseAt := rapid.IntRange(-3*len(row), len(row)-1).Draw(rt, "refuse at")
			missing := false
			var members []string
			var w wire
			for k, i := range order {
				typ := &table.Fields[i].Type
				if k == refuseAt {
					bad, wireBad := spoil(typ)
					members, w = append(members, fmt.Sprintf("%q:%s", table.Fields[i].Name, bad)), wireBad(w, protowire.Number(i+1))
					continue
				}
				if rapid.IntRange(0, 3).Draw(rt, "absent") == 0 {
					missing = missing || !table.Fields[i].Nullable
					if rapid.Bool().Draw(rt, "null") {
						members = append(members, fmt.Sprintf("%q:null", table.Fields[i].Name))
					}
					continue
				}
				row[i] = drawCell(rt, typ)
				members, w = append(members, fmt.Sprintf("%q:%s", table.Fields[i].Name, jsonText(typ, row[i]))), w.cell(protowire.Number(i+1), typ, row[i])
			}
			record := []byte("{" + strings.Join(members, ",") + "}")
			if refuseAt >= 0 || missing {
				refused(rt, fromJSON, jsonChunk, record)
				refused(rt, fromProto, protoChunk, w)
				continue
			}
			want = append(want, row)
			accepted(rt, fromJSON, jsonChunk, record)
			accepted(rt, fromProto, protoChunk, w)
			accepted(rt, cleanDecoder, clean, w)
		}
		sameChunk(rt, jsonChunk, clean)
		sameChunk(rt, protoChunk, clean)
		for i := range want {
			if diff := cmp.Diff(want[i], rowOf(rt, clean, i)); diff != "" {
				rt.Fatalf("row %d: %s", i, diff)
			}
		}
	})
}

func rangeOf(n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = i
	}
	return s
}

// TestRefusalAtEachColumn refuses the last column of a wide table with a value of every type before it, in a chunk with and
// without rows, with and without nulls.
func TestRefusalAtEachColumn(t *testing.T) {
	types := []string{
		"BOOLEAN", "TINYINT", "SMALLINT", "INT", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL(9,2)", "STRING", "VARCHAR(9)",
		"BINARY", "DATE", "TIMESTAMP", "TIMESTAMP_NTZ",
	}
	values := []string{"true", "1", "2", "3", "4", "5.5", "6.5", `"7.25"`, `"eight"`, `"nine"`, `"AAEC"`, "11", "12", "13"}
	for bad := range types {
		var columns, members []string
		for i := range types {
			columns = append(columns, fmt.Sprintf("c%d %s", i, types[i]))
			members = append(members, fmt.Sprintf(`"c%d":%s`, i, values[i]))
		}
		table := tableOf(t, strings.Join(columns, ","))
		d := jsonOf(t, table)
		good := []byte("{" + strings.Join(members, ",") + "}")
		spoiled := slices.Clone(members)
		text, _ := spoil(&table.Fields[bad].Type)
		spoiled[bad] = fmt.Sprintf(`"c%d":%s`, bad, text)
		record := []byte("{" + strings.Join(spoiled, ",") + "}")
		for _, before := range [][]byte{nil, good, []byte("{}"), []byte(`{"c0":null}`)} {
			for n := range 10 {
				c := chunkOf(t, table)
				for range n {
					if before != nil {
						accepted(t, d, c, before)
					}
				}
				if got := refused(t, d, c, record); got.Field != fmt.Sprintf("c%d", bad) {
					t.Fatalf("refused for %s: %v", got.Field, got)
				}
				clean := snapshot(c)
				accepted(t, d, c, good)
				accepted(t, d, clean, good)
				sameChunk(t, c, clean)
			}
		}
	}
}
