package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/big"
	"path"
	"slices"
	"strconv"
	"sync"

	"github.com/zerobus-go/zerobus/schema"
)

// casesFile is the name of the file with the expectations.
const casesFile = "cases.ndjson"

// expectations are written as lines of JSON, one for each case, when it was sent.
type expectations struct {
	mu     sync.Mutex
	w      *bufio.Writer
	totals totals
}

// totals count tables and rows.
type totals struct {
	tables, refused int
	rows            map[form]int // that were acknowledged
}

// expectedTable is what interop/property.py needs of a case.
type expectedTable struct {
	Seed       uint64           `json:"seed"`
	Path       string           `json:"path"` // from the directory
	DDL        string           `json:"ddl"`
	Schema     *schema.Struct   `json:"schema"` // as the Delta log has it
	Partitions []string         `json:"partitions"`
	Indexed    string           `json:"indexed"` // delta.dataSkippingNumIndexedCols; empty for the default
	Together   bool             `json:"together"`
	Streams    []expectedStream `json:"streams"`
}

// expectedStream is the rows of a stream, without those that were refused.
type expectedStream struct {
	Form string  `json:"form"`
	Rows [][]any `json:"rows"`
}

func newExpectations(w io.Writer) *expectations {
	return &expectations{w: bufio.NewWriter(w), totals: totals{rows: map[form]int{}}}
}

func (e *expectations) add(p *plan, ddl string) error {
	table := expectedTable{
		Seed: p.seed, Path: path.Join("data/tables", path.Join(p.table.Name...)), DDL: ddl, Schema: &p.table.Columns,
		Partitions: append([]string{}, p.table.PartitionBy...), Indexed: p.table.Properties[indexedColumns], Together: p.together,
	}
	refused, rows := 0, map[form]int{}
	for _, s := range p.streams {
		es := expectedStream{Form: s.form.String(), Rows: [][]any{}}
		for _, r := range s.rows {
			if r.bad {
				refused++
				continue
			}
			es.Rows = append(es.Rows, expectedRow(p.table, r.values))
		}
		rows[s.form] += len(es.Rows)
		table.Streams = append(table.Streams, es)
	}
	b, err := written(table)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.totals.tables++
	e.totals.refused += refused
	for f, n := range rows {
		e.totals.rows[f] += n
	}
	_, err = e.w.Write(b)
	return err
}

// expected is a value as interop/property.py compares it: a text that begins with its type, so that a reader which
// finds the same number in another type has found something else:
//
//	b:true  i8:-1  i16:-1  i32:-1  i64:-1
//	f32:3fc00000  f64:3ff8000000000000    the bits; NaN is nan
//	dec(10,2):-150                        the unscaled number
//	s:text  x:00ff  v:{"a":1}             VARIANT as the JSON text that was sent
//	date:-1  ts:-1  ntz:-1                days, microseconds
//
// NULL is null, an array [values], a map {"m":[[key,value],…]} in the order of the keys' texts, a struct {"s":[values]} in the order of
// its members.
func expected(t *schema.Type, x any) any {
	if x == nil {
		return nil
	}
	switch t.Kind {
	case schema.StructKind:
		fields := make([]any, len(t.Fields))
		for i, m := range x.(members) {
			fields[i] = expected(&t.Fields[i].Type, m)
		}
		return map[string]any{"s": fields}
	case schema.Array:
		elements := []any{}
		for _, e := range x.(list) {
			elements = append(elements, expected(t.Elem, e))
		}
		return elements
	case schema.Map:
		pairs := [][2]any{}
		for _, e := range x.(entries) {
			pairs = append(pairs, [2]any{expected(t.Key, e.key), expected(t.Elem, e.value)})
		}
		slices.SortFunc(pairs, func(a, b [2]any) int { return bytes.Compare([]byte(a[0].(string)), []byte(b[0].(string))) })
		return map[string]any{"m": pairs}
	}
	return expectedScalar(t, x)
}

var tags = map[schema.Kind]string{
	schema.Byte: "i8:", schema.Short: "i16:", schema.Integer: "i32:", schema.Long: "i64:", schema.Date: "date:", schema.Timestamp: "ts:",
	schema.TimestampNTZ: "ntz:",
}

func expectedScalar(t *schema.Type, x any) string {
	switch x := x.(type) {
	case bool:
		return "b:" + strconv.FormatBool(x)
	case int64:
		return tags[t.Kind] + strconv.FormatInt(x, 10)
	case float32:
		if x != x {
			return "f32:nan"
		}
		return fmt.Sprintf("f32:%08x", math.Float32bits(x))
	case float64:
		if x != x {
			return "f64:nan"
		}
		return fmt.Sprintf("f64:%016x", math.Float64bits(x))
	case *big.Int:
		return fmt.Sprintf("dec(%d,%d):%s", t.Precision, t.Scale, x)
	case string:
		return "s:" + x
	case []byte:
		return "x:" + hex.EncodeToString(x)
	case jsonText:
		return "v:" + string(x)
	}
	panic(fmt.Sprintf("a %T is no value of a column", x))
}

// expectedRow is a row of a table. An empty text in a column that the table is partitioned by is NULL.
func expectedRow(t *schema.CreateTable, row members) []any {
	out := make([]any, len(row))
	for i, x := range row {
		f := &t.Columns.Fields[i]
		if x == "" && slices.Contains(t.PartitionBy, f.Name) {
			continue
		}
		out[i] = expected(&f.Type, x)
	}
	return out
}

// written is a value as one line of JSON, with texts as they are.
func written(x any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(x)
	return b.Bytes(), err
}
