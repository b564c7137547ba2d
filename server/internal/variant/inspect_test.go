package variant

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"
)

// objectOf is an object with so many fields, all of which begin at the same place of the content.
func objectOf(fields, place int, content []byte) []byte {
	b := []byte{2 | 3<<2 | 3<<4 | 1<<6} // offsets and ids of 4 bytes, large
	b = binary.LittleEndian.AppendUint32(b, uint32(fields))
	for i := range fields {
		b = binary.LittleEndian.AppendUint32(b, uint32(i))
	}
	for range fields {
		b = binary.LittleEndian.AppendUint32(b, uint32(place))
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(content)))
	return append(b, content...)
}

// arrayOf is an array with one element.
func arrayOf(content []byte) []byte {
	b := []byte{3 | 3<<2, 1, 0, 0, 0, 0}
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(content))), content...)
}

// metadataOf has the names.
func metadataOf(names ...string) []byte {
	b := binary.LittleEndian.AppendUint32([]byte{1 | 3<<6}, uint32(len(names)))
	at := 0
	for _, name := range append(names, "") {
		b = binary.LittleEndian.AppendUint32(b, uint32(at))
		at += len(name)
	}
	return append(b, strings.Join(names, "")...)
}

// TestJSON_OfForgedValues: what would take all stack, time or memory is an error at once.
func TestJSON_OfForgedValues(t *testing.T) {
	metadata := metadataOf("a", "b", "c")
	nested := func(levels int) []byte {
		b := []byte{0}
		for range levels {
			b = arrayOf(b)
		}
		return b
	}
	doubled := []byte{0}
	for range 100 {
		doubled = objectOf(2, 0, doubled)
	}
	text := append([]byte{16 << 2, 0, 0, 1, 0}, make([]byte, 1<<16)...) // 65,536 characters that need escapes
	for name, tt := range map[string]struct {
		metadata, value []byte
		reason          string
	}{
		"levels":             {metadata, nested(maxReadDepth + 1), "nested more than 1000 levels deep"},
		"values of values":   {metadata, doubled, "overlap"},
		"one text as fields": {metadata, objectOf(3, 0, text), "overlap"},
		"one name many times": {metadataOf(strings.Repeat("x", 1<<20)), func() []byte {
			b := []byte{3 | 3<<2 | 1<<4}
			const n, size = 1000, 1 + 4 + 4 + 2*4 + 1
			b = binary.LittleEndian.AppendUint32(b, n)
			for i := range n + 1 {
				b = binary.LittleEndian.AppendUint32(b, uint32(i*size))
			}
			for range n {
				b = append(b, objectOf(1, 0, []byte{0})...)
			}
			return b
		}(), "too long"},
	} {
		if b, err := JSON(tt.metadata, tt.value); err == nil || !strings.Contains(err.Error(), tt.reason) {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
	if b, err := JSON(metadata, nested(maxReadDepth)); err != nil || len(b) != 2*maxReadDepth+4 {
		t.Errorf("%d levels: %d bytes, %v", maxReadDepth, len(b), err)
	}
	if b, err := JSON(metadata, objectOf(1, 2, []byte{9, 9, 4})); err != nil || string(b) != `{"a":true}` {
		t.Errorf("bytes that no value has: %s, %v", b, err)
	}
}

// TestInspect_TakesWhatAppendMakes: its values have each byte once.
func TestInspect_TakesWhatAppendMakes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var text func(depth int) string
	text = func(depth int) string {
		kind := r.IntN(8)
		if depth == 0 {
			kind = r.IntN(6)
		}
		switch kind {
		case 6, 7:
			var parts []string
			for i := range r.IntN(300) * r.IntN(2) * (depth % 2) {
				parts = append(parts, map[int]string{6: "", 7: `"k` + string(rune('a'+i)) + `":`}[kind]+text(depth-1))
			}
			return map[int]string{6: "[", 7: "{"}[kind] + strings.Join(parts, ",") + map[int]string{6: "]", 7: "}"}[kind]
		case 0:
			return `"` + strings.Repeat("x", r.IntN(100)) + `"`
		}
		return []string{"null", "-1", "70000", "1.5", "1e9", "12345678901234567890123"}[kind]
	}
	for range 300 {
		in := text(3)
		_, value, reason := Append(nil, nil, []byte(in))
		if reason != "" {
			t.Fatalf("%s: %s", in, reason)
		}
		if err := inspect(value); err != nil {
			t.Fatalf("%s: %v", in, err)
		}
	}
}
