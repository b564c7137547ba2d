package loadgen

import (
	"encoding/base64"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
)

const (
	idVarint = 4
	idDigits = 9

	// wordBytes is the text from which records get theirs.
	wordBytes = 1 << 20
)

// words is made-up words, without what JSON would have to escape.
var words = sync.OnceValue(func() []byte {
	r := rand.New(rand.NewPCG(1, 2))
	all := make([]string, 2000)
	for i := range all {
		w := make([]byte, 2+r.IntN(8))
		for k := range w {
			w[k] = byte('a' + r.IntN(26))
		}
		all[i] = string(w)
	}
	text := make([]byte, 0, wordBytes+16)
	for len(text) < wordBytes {
		text = append(append(text, all[r.IntN(len(all))]...), ' ')
	}
	return text[:wordBytes]
})

func putVarint(to []byte, id int64) {
	to[0], to[1], to[2], to[3] = byte(id)|0x80, byte(id>>7)|0x80, byte(id>>14)|0x80, byte(id>>21)
}

func putDigits(to []byte, id int64) {
	for i := len(to) - 1; i >= 0; i-- {
		to[i] = byte('0' + id%10)
		id /= 10
	}
}

// slot encodes a record whose values belong to a number, with a text that fills it up.
func (s *Shape) slot(e Encoding, seed int) slot {
	encode := s.proto
	if e == JSON {
		encode = s.json
	}
	room := s.Size(e) - len(encode(seed, 0).record)
	made := encode(seed, room)
	for len(made.record) > s.Size(e) { // the text's length takes a byte more
		room--
		made = encode(seed, room)
	}
	return made
}

func (s *Shape) proto(seed, room int) (to slot) {
	r := rand.New(rand.NewPCG(uint64(seed), 3))
	for i, f := range s.columns {
		n := protowire.Number(i + 1)
		tag := func(t protowire.Type) { to.record = protowire.AppendTag(to.record, n, t) }
		switch f.ddl {
		case "STRING":
			tag(protowire.BytesType)
			if f.role == text {
				to.record = protowire.AppendVarint(to.record, uint64(room))
				to.text, to.to = len(to.record), len(to.record)+room
				to.record = append(to.record, strings.Repeat("x", room)...)
			} else {
				to.record = protowire.AppendString(to.record, s.label(r))
			}
		case "BINARY":
			tag(protowire.BytesType)
			to.record = protowire.AppendBytes(to.record, digest(r))
		case "BIGINT":
			tag(protowire.VarintType)
			if f.role == id {
				to.id = len(to.record)
				to.record = append(to.record, make([]byte, idVarint)...)
			} else {
				to.record = protowire.AppendVarint(to.record, uint64(bigint(r)))
			}
		case "INT":
			tag(protowire.VarintType)
			to.record = protowire.AppendVarint(to.record, uint64(integer(r)))
		case "BOOLEAN":
			tag(protowire.VarintType)
			to.record = protowire.AppendVarint(to.record, uint64(seed&1))
		case "DOUBLE":
			tag(protowire.Fixed64Type)
			to.record = protowire.AppendFixed64(to.record, math.Float64bits(fraction(r)))
		case "FLOAT":
			tag(protowire.Fixed32Type)
			to.record = protowire.AppendFixed32(to.record, math.Float32bits(float32(fraction(r))))
		}
	}
	return to
}

func (s *Shape) json(seed, room int) (to slot) {
	r := rand.New(rand.NewPCG(uint64(seed), 3))
	b := []byte{'{'}
	for i, f := range s.columns {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, "%q:", f.name)
		switch f.ddl {
		case "STRING":
			b = append(b, '"')
			if f.role == text {
				to.text, to.to = len(b), len(b)+room
				b = append(b, strings.Repeat("x", room)...)
			} else {
				b = append(b, s.label(r)...)
			}
			b = append(b, '"')
		case "BINARY":
			b = append(b, '"')
			b = base64.StdEncoding.AppendEncode(b, digest(r))
			b = append(b, '"')
		case "BIGINT":
			if f.role == id {
				to.id = len(b)
				b = append(b, strings.Repeat("0", idDigits)...)
			} else {
				b = strconv.AppendInt(b, bigint(r), 10)
			}
		case "INT":
			b = strconv.AppendInt(b, integer(r), 10)
		case "BOOLEAN":
			b = strconv.AppendBool(b, seed&1 == 1)
		case "DOUBLE", "FLOAT":
			b = strconv.AppendFloat(b, fraction(r), 'f', 2, 64)
		}
	}
	to.record = append(b, '}')
	return to
}

// The values of a round.
func (s *Shape) label(r *rand.Rand) string { return fmt.Sprintf("host-%03d", r.IntN(1000)) }

func digest(r *rand.Rand) []byte {
	b := make([]byte, 12)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// bigint is a time of a week of 2026, in milliseconds: 6 bytes as a varint.
func bigint(r *rand.Rand) int64 { return 1_767_225_600_000 + r.Int64N(7*86_400_000) }

// integer takes two digits, and one byte as a varint.
func integer(r *rand.Rand) int64 { return 10 + r.Int64N(90) }

func fraction(r *rand.Rand) float64 { return float64(1000+r.IntN(9000)) / 100 }
