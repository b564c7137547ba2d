package column

import (
	"errors"
	"fmt"

	"github.com/zerobus-go/zerobus/schema"
)

// Layout is the physical form of a column's values.
type Layout uint8

// The layouts. Their numbers are part of the byte form and never change.
const (
	NoLayout Layout = 0
	Bool     Layout = 1 // BOOLEAN: bits
	Int32    Layout = 2 // TINYINT, SMALLINT, INT, DATE
	Int64    Layout = 3 // BIGINT, TIMESTAMP, TIMESTAMP_NTZ
	Float32  Layout = 4
	Float64  Layout = 5
	Bytes    Layout = 6 // STRING, BINARY: offsets and data
	Int128   Layout = 7 // DECIMAL: the unscaled number

	Struct Layout = 8  // STRUCT: a kid for each field; VARIANT: the kids metadata and value
	List   Layout = 9  // ARRAY: offsets into the kid with the elements
	Map    Layout = 10 // MAP: offsets into the kids with the keys and the values
)

var layoutNames = [...]string{"no layout", "bool", "int32", "int64", "float32", "float64", "bytes", "int128", "struct", "list", "map"}

func (l Layout) String() string {
	if int(l) < len(layoutNames) {
		return layoutNames[l]
	}
	return "unknown layout"
}

// width is the bytes that a null takes beside values, the validity bit apart.
func (l Layout) width() int {
	switch l {
	case Int32, Float32, Bytes, List, Map:
		return 4
	case Int64, Float64:
		return 8
	case Int128:
		return 16
	}
	return 1
}

// LayoutOf tells how values of a type are held. False: it is no type, or one that this server does not know.
func LayoutOf(t *schema.Type) (Layout, bool) {
	switch t.Kind {
	case schema.Boolean:
		return Bool, true
	case schema.Byte, schema.Short, schema.Integer, schema.Date:
		return Int32, true
	case schema.Long, schema.Timestamp, schema.TimestampNTZ:
		return Int64, true
	case schema.Float:
		return Float32, true
	case schema.Double:
		return Float64, true
	case schema.String, schema.Binary:
		return Bytes, true
	case schema.Decimal:
		return Int128, true
	case schema.StructKind, schema.Variant:
		return Struct, true
	case schema.Array:
		return List, true
	case schema.Map:
		return Map, true
	}
	return NoLayout, false
}

// The kids of a VARIANT, both BINARY and NOT NULL: https://github.com/apache/parquet-format/blob/master/VariantEncoding.md.
const (
	VariantMetadata = iota
	VariantValue
	variantKids
)

// NewVector makes an empty vector for values of a type, with the vectors inside it.
func NewVector(t *schema.Type) (Vector, error) {
	layout, ok := LayoutOf(t)
	if !ok {
		return Vector{}, fmt.Errorf("type %s cannot be stored", t)
	}
	v := Vector{Layout: layout}
	inside := func(t *schema.Type) error {
		kid, err := NewVector(t)
		v.Kids = append(v.Kids, kid)
		return err
	}
	var err error
	switch t.Kind {
	case schema.StructKind:
		if len(t.Fields) == 0 {
			return v, errors.New("a struct without fields cannot be stored")
		}
		for i := range t.Fields {
			if err = inside(&t.Fields[i].Type); err != nil {
				err = fmt.Errorf("field %s: %w", t.Fields[i].Name, err)
				break
			}
		}
	case schema.Variant:
		v.Kids = make([]Vector, variantKids)
		for i := range v.Kids {
			v.Kids[i].Layout = Bytes
		}
	case schema.Array:
		err = inside(t.Elem)
	case schema.Map:
		if err = inside(t.Key); err == nil {
			err = inside(t.Elem)
		}
	}
	return v, err
}

// leaves is how many columns the vector is in a file, itself included.
func (v *Vector) leaves() int {
	n := 1
	for i := range v.Kids {
		n += v.Kids[i].leaves()
	}
	return n
}

// Decimal128 is an unscaled decimal in two's complement.
type Decimal128 struct {
	Lo uint64
	Hi int64
}

// Vector is one column. The slice that its Layout names holds N values; a null has the zero value there. A column of nulls
// alone holds nothing but its counts, so that a table of many columns costs what its values cost.
type Vector struct {
	Layout Layout
	N      int    // values, nulls included
	Nulls  int    // N: a column of nulls, and no slice holds anything
	Valid  Bitmap // set where there is a value; kept only while 0 < Nulls < N

	Bits    Bitmap       // Bool
	I32     []int32      // Int32
	I64     []int64      // Int64
	F32     []float32    // Float32
	F64     []float64    // Float64
	Dec     []Decimal128 // Int128
	Offsets []int32      // Bytes, List, Map: N+1 offsets into Data or Kids, the first 0; empty while N is 0
	Data    []byte       // Bytes; at most 2 GiB, which is for the caller to see to

	// Kids are the vectors inside. Those of a Struct have as many values as the struct, and nulls where it is null; those of a List
	// and of a Map have the elements of all values one after the other.
	Kids []Vector

	// zeros is for a column of nulls: so many rows in the memory behind its empty slices are zeros. A value that comes and
	// is taken back, record after record, then does not clear all rows before it each time.
	zeros int
}

// IsValid reports whether value i is not null.
func (v *Vector) IsValid(i int) bool { return v.Nulls == 0 || v.Nulls < v.N && v.Valid.Get(i) }

// AllNull reports whether the column holds nulls only, and at least one.
func (v *Vector) AllNull() bool { return v.Nulls == v.N && v.N != 0 }

// Range is where the elements of value i of a List or Map are in its kids.
func (v *Vector) Range(i int) (from, to int) {
	if v.AllNull() {
		return 0, 0
	}
	return int(v.Offsets[i]), int(v.Offsets[i+1])
}

// BytesAt is value i of a Bytes column, a view into Data.
func (v *Vector) BytesAt(i int) []byte { return v.Data[v.Offsets[i]:v.Offsets[i+1]] }

// AppendBool adds a value.
func (v *Vector) AppendBool(b bool) {
	v.ready()
	v.Bits = v.Bits.Append(v.N, b)
	v.appended()
}

// The methods that add a number are as short as they are so that they are inlined where records are decoded: what a column of nulls
// needs first is in prepare.

// AppendInt32 adds a value.
func (v *Vector) AppendInt32(x int32) {
	if v.Nulls > 0 {
		v.prepare()
	}
	v.I32 = append(v.I32, x)
	v.N++
}

// AppendInt64 adds a value.
func (v *Vector) AppendInt64(x int64) {
	if v.Nulls > 0 {
		v.prepare()
	}
	v.I64 = append(v.I64, x)
	v.N++
}

// AppendFloat32 adds a value.
func (v *Vector) AppendFloat32(x float32) {
	if v.Nulls > 0 {
		v.prepare()
	}
	v.F32 = append(v.F32, x)
	v.N++
}

// AppendFloat64 adds a value.
func (v *Vector) AppendFloat64(x float64) {
	if v.Nulls > 0 {
		v.prepare()
	}
	v.F64 = append(v.F64, x)
	v.N++
}

// AppendDecimal adds a value.
func (v *Vector) AppendDecimal(x Decimal128) {
	if v.Nulls > 0 {
		v.prepare()
	}
	v.Dec = append(v.Dec, x)
	v.N++
}

// AppendBytes adds a value; b is copied.
func (v *Vector) AppendBytes(b []byte) {
	v.Data = append(v.Data, b...)
	v.EndBytes()
}

// AppendString adds a value.
func (v *Vector) AppendString(s string) {
	v.Data = append(v.Data, s...)
	v.EndBytes()
}

// AppendZero adds the value 0, false or empty.
func (v *Vector) AppendZero() {
	v.ready()
	v.appendZeros(1)
	v.appended()
}

// EndStruct adds the struct whose fields the caller has added to the kids, a value or a null to each.
func (v *Vector) EndStruct() {
	v.ready()
	v.appended()
}

// EndList adds the list or map whose elements the caller has added to the kids, from the end of the last value on; there may be
// none.
func (v *Vector) EndList() {
	v.ready()
	if len(v.Offsets) == 0 {
		v.Offsets = append(v.Offsets, 0)
	}
	v.Offsets = append(v.Offsets, int32(v.Kids[0].N))
	v.appended()
}

// Begun is where the elements of the list or map begin that is being added.
func (v *Vector) Begun() int {
	if len(v.Offsets) == 0 {
		return 0
	}
	return int(v.Offsets[len(v.Offsets)-1])
}

// EndBytes adds the value that the caller has appended to Data himself, from the end of the last value on.
func (v *Vector) EndBytes() {
	if v.Nulls > 0 || v.N == 0 {
		v.prepare()
	}
	v.Offsets = append(v.Offsets, int32(len(v.Data)))
	v.N++
}

func (v *Vector) appended() {
	if v.Nulls > 0 {
		v.Valid = v.Valid.Append(v.N, true)
	}
	v.N++
}

// resize sets the length of the slice of the layout to n rows, within what it holds or has held.
func (v *Vector) resize(n int) {
	switch v.Layout {
	case Bool:
		v.Bits = v.Bits.truncate(n)
	case Int32:
		v.I32 = v.I32[:n]
	case Int64:
		v.I64 = v.I64[:n]
	case Float32:
		v.F32 = v.F32[:n]
	case Float64:
		v.F64 = v.F64[:n]
	case Int128:
		v.Dec = v.Dec[:n]
	case Bytes, List, Map:
		if n == 0 {
			v.Offsets = v.Offsets[:0]
		} else {
			v.Offsets = v.Offsets[:n+1]
		}
	}
}

// Truncate drops the values from n on, and what is there of a value that was begun and not ended.
func (v *Vector) Truncate(n int) {
	v.truncate(n)
	for i := range v.Kids {
		if v.Layout == Struct {
			v.Kids[i].Truncate(n)
		} else {
			v.Kids[i].Truncate(v.Begun())
		}
	}
}

// truncate is Truncate without the kids.
func (v *Vector) truncate(n int) {
	n = min(n, v.N)
	if v.AllNull() {
		v.N, v.Nulls, v.Data = n, n, v.Data[:0]
		v.zeros = min(v.zeros, n)
		return
	}
	if n == 0 {
		v.Nulls = 0
	}
	if v.Nulls > 0 {
		for i := n; i < v.N; i++ {
			if !v.Valid.Get(i) {
				v.Nulls--
			}
		}
	}
	v.N = n
	switch v.Nulls {
	case n: // nulls alone are left, or nothing
		v.resize(n)
		v.Valid = v.Valid.truncate(n)
		v.zeros = n
		v.resize(0)
		v.Data, v.Valid = v.Data[:0], v.Valid[:0]
	case 0:
		v.resize(n)
		v.Valid = v.Valid[:0]
	default:
		v.resize(n)
		v.Valid = v.Valid.truncate(n)
	}
	if v.Layout == Bytes && len(v.Offsets) > 0 {
		v.Data = v.Data[:v.Offsets[n]]
	}
}

func (v *Vector) bytes() int {
	n := len(v.Bits) + 4*len(v.I32) + 8*len(v.I64) + 4*len(v.F32) + 8*len(v.F64) + 16*len(v.Dec) + 4*len(v.Offsets) + len(v.Data)
	for i := range v.Kids {
		n += v.Kids[i].bytes()
	}
	return n + len(v.Valid)
}
