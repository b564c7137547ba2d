package decode

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/zerobus-go/zerobus/server/internal/column"
)

// workload is a table, its decoder and records of one size.
type workload struct {
	name    string
	columns string
	fields  []string // of the descriptor; none for JSON
	records [][]byte
}

func workloads() []workload {
	air := workload{
		name: "proto/25B", columns: "device_name STRING, temp INT, humidity BIGINT",
		fields: []string{"device_name string", "temp int32", "humidity int64"},
	}
	airJSON := workload{name: "json/61B", columns: air.columns}
	wide := workload{name: "proto/265B", fields: []string{}}
	wideJSON := workload{name: "json/460B"}
	var columns []string
	for i := range 20 {
		typ := []string{"STRING", "BIGINT", "INT", "DOUBLE", "STRING", "BIGINT", "BOOLEAN"}[i%7]
		kind := []string{"string", "int64", "int32", "double", "string", "int64", "bool"}[i%7]
		columns = append(columns, fmt.Sprintf("field_%02d %s", i, typ))
		wide.fields = append(wide.fields, fmt.Sprintf("field_%02d %s", i, kind))
	}
	wide.columns = strings.Join(columns, ",")
	wideJSON.columns = wide.columns
	for r := range 256 {
		air.records = append(air.records, wire{}.text(1, fmt.Sprintf("sensor-%04d-abcd", r)).int(2, int64(r%60-10)).int(3, int64(40+r*7)))
		airJSON.records = append(airJSON.records, fmt.Appendf(nil, `{"device_name":"sensor-%04d-abcd","temp":%d,"humidity":%d}`, r, r%60-10, 40+r*7))
		var w wire
		var members []string
		for i := range 20 {
			key := fmt.Sprintf(`"field_%02d":`, i)
			switch i % 7 {
			case 0, 4:
				w = w.text(protowire.Number(i+1), fmt.Sprintf("some text of row %04d", r))
				members = append(members, fmt.Sprintf(`%s"some text of row %04d"`, key, r))
			case 1, 5:
				w = w.int(protowire.Number(i+1), 1732312096123456+int64(r))
				members = append(members, fmt.Sprintf(`%s%d`, key, 1732312096123456+r))
			case 2:
				w = w.int(protowire.Number(i+1), int64(r))
				members = append(members, fmt.Sprintf(`%s%d`, key, r))
			case 3:
				w = w.fixed64(protowire.Number(i+1), math.Float64bits(float64(r)+0.25))
				members = append(members, fmt.Sprintf(`%s%v`, key, float64(r)+0.25))
			case 6:
				w = w.varint(protowire.Number(i+1), 1)
				members = append(members, key+"true")
			}
		}
		wide.records = append(wide.records, w)
		wideJSON.records = append(wideJSON.records, []byte("{"+strings.Join(members, ",")+"}"))
	}
	return []workload{air, wide, airJSON, wideJSON}
}

// variations are the workloads with what their records have not: fields that are missing, another order of the fields in every
// other record, text that is not ASCII, white space in JSON, and as many columns as wide tables have.
func variations() []workload {
	all := workloads()
	air, wide, airJSON := all[0], all[1], all[2]

	gaps, swapped, sparse, umlauts := air, wide, wide, air
	gaps.name, swapped.name, sparse.name, umlauts.name = "proto/25B-gaps", "proto/265B-swapped", "proto/265B-sparse", "proto/25B-umlauts"
	gapsJSON, spaced := airJSON, airJSON
	gapsJSON.name, spaced.name = "json/61B-gaps", "json/61B-spaced"
	for _, w := range []*workload{&gaps, &swapped, &sparse, &umlauts, &gapsJSON, &spaced} {
		w.records = nil
	}
	for r := range 256 {
		w, members := wire{}, []string(nil)
		if r%5 != 0 {
			w = w.text(1, fmt.Sprintf("sensor-%04d-abcd", r))
			members = append(members, fmt.Sprintf(`"device_name":"sensor-%04d-abcd"`, r))
		}
		if r%3 != 0 {
			w = w.int(2, int64(r%60-10))
			members = append(members, fmt.Sprintf(`"temp":%d`, r%60-10))
		}
		if r%7 != 0 {
			w = w.int(3, int64(40+r*7))
			members = append(members, fmt.Sprintf(`"humidity":%d`, 40+r*7))
		}
		gaps.records, gapsJSON.records = append(gaps.records, w), append(gapsJSON.records, []byte("{"+strings.Join(members, ",")+"}"))
		spaced.records = append(spaced.records, bytes.ReplaceAll(bytes.ReplaceAll(airJSON.records[r], []byte(":"), []byte(": ")), []byte(","), []byte(", ")))
		umlauts.records = append(umlauts.records, wire{}.text(1, fmt.Sprintf("fühler-%04d-äöü", r)).int(2, int64(r%60-10)).int(3, int64(40+r*7)))
		record := wide.records[r]
		var few wire
		at, half := 0, 0
		for i := range 20 {
			if i == 10 {
				half = at
			}
			_, _, n := protowire.ConsumeField(record[at:])
			if (i+r)%4 == 0 {
				few = append(few, record[at:at+n]...)
			}
			at += n
		}
		if r%2 == 1 {
			record = append(slices.Clone(record[half:]), record[:half]...)
		}
		swapped.records, sparse.records = append(swapped.records, record), append(sparse.records, few)
	}

	places := workload{name: "json/doubles", columns: "lat DOUBLE, lon DOUBLE, speed DOUBLE, heading DOUBLE"}
	for r := range 256 {
		at := float64(r) / 1e3
		places.records = append(places.records, fmt.Appendf(nil, `{"lat":%.6f,"lon":%.6f,"speed":%.1f,"heading":%v}`, 52.520008+at, 13.404954-at, at*100, math.Sqrt(at)))
	}

	broad := workload{name: "proto/1kB"}
	var columns []string
	for i := range 100 {
		columns = append(columns, fmt.Sprintf("f%02d %s", i, []string{"STRING", "BIGINT", "INT", "DOUBLE"}[i%4]))
		broad.fields = append(broad.fields, fmt.Sprintf("f%02d %s", i, []string{"string", "int64", "int32", "double"}[i%4]))
	}
	broad.columns = strings.Join(columns, ",")
	for r := range 64 {
		var w wire
		for i := range 100 {
			num := protowire.Number(i + 1)
			switch i % 4 {
			case 0:
				w = w.text(num, fmt.Sprintf("value %04d of f%02d", r, i))
			case 1:
				w = w.int(num, 1732312096123456+int64(r*i))
			case 2:
				w = w.int(num, int64(r*i))
			case 3:
				w = w.fixed64(num, math.Float64bits(float64(r)+0.25))
			}
		}
		broad.records = append(broad.records, w)
	}
	return []workload{gaps, swapped, sparse, umlauts, broad, gapsJSON, spaced, places}
}

func (w *workload) decoder(t testing.TB) (Decoder, *column.Chunk) {
	table := tableOf(t, w.columns)
	if w.fields == nil {
		return jsonOf(t, table), chunkOf(t, table)
	}
	return protoOf(t, table, marshal(t, messageOf(w.fields...))), chunkOf(t, table)
}

func BenchmarkDecode(b *testing.B) {
	for _, w := range append(workloads(), variations()...) {
		b.Run(w.name, func(b *testing.B) {
			d, c := w.decoder(b)
			size := 0
			for _, r := range w.records {
				size += len(r)
			}
			for _, r := range w.records { // so that the columns have their memory
				if err := d.Decode(c, r); err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				c.Reset()
				for _, r := range w.records {
					if err := d.Decode(c, r); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(len(w.records))*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrec/s")
			b.ReportMetric(float64(size)/float64(len(w.records)), "B/rec")
		})
	}
}

// TestDecodeDoesNotAllocate covers every type, escapes, keys out of order, oneofs and values that are replaced.
func TestDecodeDoesNotAllocate(t *testing.T) {
	all := append(workloads(), variations()...)
	m := diffMessage()
	everything := wire{}.varint(1, 1).int(2, -3).varint(3, 7).varint(4, 9).fixed32(5, 8).varint(6, 1).int(7, -5).varint(8, 1).
		varint(9, 2).int(10, 20000).fixed64(11, 1).fixed64(12, 2).fixed32(13, 3).fixed32(14, 4).fixed64(15, 5).text(16, "text").
		text(17, "äöü").varint(18, 1).text(19, "\xff").text(20, "-1.5e1").fixed32(5000, 1).int(21, 1).text(22, "x").int(21, 5).
		int(2, 300).int(2, 3).group(99, wire{}.int(1, 1))
	all = append(all, workload{name: "json/everything", columns: jsonDiffColumns, records: [][]byte{
		[]byte(`{"b":true,"t":-128,"s":1,"i":2,"l":9223372036854775807,"d":20000,"ts":1732312096123456}`),
		[]byte(`{"f":1.5,"dd":-0.1e-300,"str":"a\n\u00e9\ud83c\udf0d","vc":"äöü","bin":"AP8\u003d","dec":"12.34","big":1e27}`),
		[]byte(`{"q\u0022ü":1,"b":null,"dec":1.25,"f":0.123456789012345678901234567890}`),
	}})
	for _, w := range all {
		t.Run(w.name, func(t *testing.T) {
			d, c := w.decoder(t)
			noAllocs(t, d, c, w.records)
		})
	}
	t.Run("proto/everything", func(t *testing.T) {
		table := tableOf(t, diffColumns)
		noAllocs(t, protoOf(t, table, marshal(t, m)), chunkOf(t, table), [][]byte{everything, nil, everything})
	})
}

func noAllocs(t *testing.T, d Decoder, c *column.Chunk, records [][]byte) {
	t.Helper()
	n := testing.AllocsPerRun(20, func() {
		c.Reset()
		for _, r := range records {
			if err := d.Decode(c, r); err != nil {
				t.Fatal(err)
			}
		}
	})
	if n != 0 {
		t.Errorf("%v allocations for %d records", n, len(records))
	}
}
