package tablecheck

import (
	"bytes"
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"github.com/zerobus-go/zerobus/schema"
)

// Whatever a bound looks like, it is judged. What it is judged by are the values 1 and 2, or texts of them.
func FuzzBound(f *testing.F) {
	for _, s := range []string{`1`, `"1"`, `1.5e3`, `"NaN"`, `"2024-01-01"`, `"2024-01-01T00:00:00.000Z"`, `true`, `null`, `1e999999999`, `"\ud800"`, `{}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if !json.Valid([]byte(raw)) {
			return
		}
		raw = strings.TrimSpace(raw)
		x := extremes{some: true, least: 1, most: 2, leastF: 1, mostF: 2, leastD: big.NewInt(1), mostD: big.NewInt(2), leastB: []byte("1"), mostB: []byte("2")}
		for kind := schema.Boolean; kind <= schema.Variant; kind++ {
			typ := schema.Type{Kind: kind, Precision: 5, Scale: 1}
			for _, upper := range []bool{false, true} {
				loose, read := x.bound(&typ, json.RawMessage(raw), upper, false)
				exact, readToo := x.bound(&typ, json.RawMessage(raw), upper, true)
				if read != readToo || loose != "" && exact == "" {
					t.Errorf("%s as a bound of %s: %q, but as a tight one %q", raw, &typ, loose, exact)
				}
			}
		}
	})
}

// Whatever is wrong with a file, the check says so or finds nothing wrong, and goes on.
func FuzzFile(f *testing.F) {
	b := build(f, "(i BIGINT, s STRING, a ARRAY<INT>)")
	b.add(`{"i":1,"s":"a","a":[1,2]}`, `{"i":2}`, `{"s":"b","a":[]}`, `{"i":7,"s":"c"}`)
	const path = "part-0.parquet"
	good, err := b.store.Get(f.Context(), path)
	must(f, err)
	f.Add(0, byte(0))
	f.Add(len(good)-9, byte(1))
	f.Add(40, byte(0xff))
	f.Fuzz(func(t *testing.T, at int, with byte) {
		data := bytes.Clone(good)
		at = int(uint(at) % uint(len(data)))
		data[at] ^= with
		must(t, b.store.Put(t.Context(), path, data))
		r, err := Check(t.Context(), b.store, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if with == 0 && !r.Sound {
			t.Errorf("the good file has faults: %v", r.Faults)
		}
	})
}
