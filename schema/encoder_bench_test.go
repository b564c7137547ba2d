package schema

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// encoderWorkload is a table and records of one size.
type encoderWorkload struct {
	name, columns string
	records       [][]byte
}

// encoderWorkloads are records as the server's decoder is measured with, and nested ones.
func encoderWorkloads() []encoderWorkload {
	flat := encoderWorkload{name: "61B", columns: "device_name STRING, temp INT, humidity BIGINT"}
	wide := encoderWorkload{name: "460B"}
	nested := encoderWorkload{
		name:    "nested",
		columns: "id BIGINT, at STRUCT<lat DOUBLE, lon DOUBLE, name STRING>, tags ARRAY<STRING>, counts MAP<STRING, BIGINT>, lines ARRAY<STRUCT<sku STRING, n INT>>",
	}
	var columns []string
	for i := range 20 {
		columns = append(columns, fmt.Sprintf("field_%02d %s", i, []string{"STRING", "BIGINT", "INT", "DOUBLE", "STRING", "BIGINT", "BOOLEAN"}[i%7]))
	}
	wide.columns = strings.Join(columns, ",")
	for r := range 256 {
		flat.records = append(flat.records, fmt.Appendf(nil, `{"device_name":"sensor-%04d-abcd","temp":%d,"humidity":%d}`, r, r%60-10, 40+r*7))
		nested.records = append(nested.records, fmt.Appendf(nil, `{"id":%d,"at":{"lat":%v,"lon":-13.25,"name":"station %d"},"tags":["a","bc","def"],`+
			`"counts":{"rain":%d,"snow":2},"lines":[{"sku":"A-%04d","n":1},{"sku":"B-%04d","n":2}]}`, r, float64(r)+0.5, r, r, r, r))
		var members []string
		for i := range 20 {
			key := fmt.Sprintf(`"field_%02d":`, i)
			switch i % 7 {
			case 0, 4:
				members = append(members, fmt.Sprintf(`%s"some text of row %04d"`, key, r))
			case 1, 5:
				members = append(members, fmt.Sprintf(`%s%d`, key, 1732312096123456+int64(r)))
			case 2:
				members = append(members, fmt.Sprintf(`%s%d`, key, r))
			case 3:
				members = append(members, fmt.Sprintf(`%s%v`, key, float64(r)+0.25))
			case 6:
				members = append(members, key+"true")
			}
		}
		wide.records = append(wide.records, []byte("{"+strings.Join(members, ",")+"}"))
	}
	return []encoderWorkload{flat, wide, nested}
}

// bench runs one way to encode records.
func (w *encoderWorkload) bench(b *testing.B, encode func(dst, record []byte) ([]byte, error)) {
	size := 0
	for _, r := range w.records {
		size += len(r)
	}
	b.SetBytes(int64(size / len(w.records)))
	b.ReportAllocs()
	var dst []byte
	for n := 0; b.Loop(); n++ {
		var err error
		if dst, err = encode(dst[:0], w.records[n%len(w.records)]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEncoder measures the encoder beside what one would write with protobuf's own library.
func BenchmarkEncoder(b *testing.B) {
	for _, w := range encoderWorkloads() {
		e, md := encoderOf(b, columns(b, w.columns))
		b.Run(w.name+"/AppendJSON", func(b *testing.B) { w.bench(b, e.AppendJSON) })
		b.Run(w.name+"/protojson", func(b *testing.B) {
			w.bench(b, func(dst, record []byte) ([]byte, error) {
				m := dynamicpb.NewMessage(md)
				if err := protojson.Unmarshal(record, m); err != nil {
					return nil, err
				}
				return proto.MarshalOptions{}.MarshalAppend(dst, m)
			})
		})
		b.Run(w.name+"/map", func(b *testing.B) {
			w.bench(b, func(dst, record []byte) ([]byte, error) {
				var values map[string]any
				if err := json.Unmarshal(record, &values); err != nil {
					return nil, err
				}
				m := dynamicpb.NewMessage(md)
				setFields(m, values)
				return proto.MarshalOptions{}.MarshalAppend(dst, m)
			})
		})
	}
}

// setFields sets the fields of a message to values of encoding/json.
func setFields(m protoreflect.Message, values map[string]any) {
	for name, value := range values {
		fd := m.Descriptor().Fields().ByName(protoreflect.Name(name))
		switch {
		case fd.IsMap():
			entries := m.Mutable(fd).Map()
			for key, x := range value.(map[string]any) {
				entries.Set(protoreflect.ValueOfString(key).MapKey(), fieldValue(fd.MapValue(), x, entries.NewValue))
			}
		case fd.IsList():
			list := m.Mutable(fd).List()
			for _, x := range value.([]any) {
				list.Append(fieldValue(fd, x, list.NewElement))
			}
		default:
			m.Set(fd, fieldValue(fd, value, func() protoreflect.Value { return m.NewField(fd) }))
		}
	}
}

func fieldValue(fd protoreflect.FieldDescriptor, x any, empty func() protoreflect.Value) protoreflect.Value {
	switch fd.Kind() {
	case protoreflect.MessageKind:
		v := empty()
		setFields(v.Message(), x.(map[string]any))
		return v
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(x.(float64)))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(int64(x.(float64)))
	}
	return protoreflect.ValueOf(x)
}

// TestEncoderWorkloads: the ways that the benchmark compares agree.
func TestEncoderWorkloads(t *testing.T) {
	for _, w := range encoderWorkloads() {
		e, md := encoderOf(t, columns(t, w.columns))
		for _, record := range w.records {
			b, err := e.AppendJSON(nil, record)
			if err != nil {
				t.Fatal(err)
			}
			var values map[string]any
			if err := json.Unmarshal(record, &values); err != nil {
				t.Fatal(err)
			}
			byMap, byJSON := dynamicpb.NewMessage(md), dynamicpb.NewMessage(md)
			setFields(byMap, values)
			if err := protojson.Unmarshal(record, byJSON); err != nil {
				t.Fatal(err)
			}
			if m := readRecord(t, md, b).Interface(); !proto.Equal(m, byMap) || !proto.Equal(m, byJSON) {
				t.Fatalf("%s became %s", record, saidBy(m.ProtoReflect()))
			}
		}
	}
}
