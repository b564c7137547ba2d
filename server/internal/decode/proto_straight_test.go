package decode

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// TestProtoStraight_Text puts a byte of another kind at each place of a text of each length that is copied in words, and of some
// beyond: a text is refused for a single byte that is not UTF-8, wherever it is.
func TestProtoStraight_Text(t *testing.T) {
	p := newProtoPair(t)
	lengths := []int{126, 127, 128, 129, 200}
	for n := range longCopy + 10 {
		lengths = append(lengths, n)
	}
	for _, n := range lengths {
		plain := strings.Repeat("abcdefghijklmnopqrstuvwxy", 10)[:n]
		texts := []string{plain}
		for i := range n {
			texts = append(texts, plain[:i]+"\xff"+plain[i+1:])
			if i+2 <= n {
				texts = append(texts, plain[:i]+"ä"+plain[i+2:])
			}
		}
		for _, text := range texts {
			record := wire{}.text(16, text).int(7, 5)
			if p.check(t, record, rowsBefore()[2], true) != !strings.Contains(text, "\xff") {
				t.Fatalf("text %q of %d bytes", text, n)
			}
		}
	}
}

// TestProtoStraight_CutShort ends a record of each field at each byte, with tags of one, two and three bytes: the oracle knows which
// of them are records.
func TestProtoStraight_CutShort(t *testing.T) {
	p := newProtoPair(t)
	full := rowsBefore()[2][0]
	ends := map[int]bool{0: true}
	for at := 0; at < len(full); {
		_, _, n := protowire.ConsumeField(full[at:])
		at += n
		ends[at] = true
	}
	for _, before := range rowsBefore() {
		for cut := range len(full) + 1 {
			if got := p.check(t, full[:cut:cut], before, true); got != ends[cut] {
				t.Errorf("cut at byte %d: accepted %t", cut, got)
			}
		}
	}
}

// TestProtoStraight_LongTag has fields whose tags are those of others but for the third byte, or but for bits of the second.
func TestProtoStraight_LongTag(t *testing.T) {
	for _, number := range []int32{16, 100, 2047, 2048, 2064, 5000} {
		table := tableOf(t, "a INT, b INT")
		m := messageOf("a int32", "b int32")
		m.Field[0].Number = &number
		d, c := protoOf(t, table, marshal(t, m)), chunkOf(t, table)
		accepted(t, d, c, wire{}.int(protowire.Number(number), 7).int(2, 8)) // now a is due, and both have values
		for other := protowire.Number(1); other < 20000; other++ {
			if other == 2 || other == protowire.Number(number) {
				continue
			}
			c.Truncate(1)
			if row := accepted(t, d, c, wire{}.int(other, 1)); row[0] != nil || row[1] != nil {
				t.Fatalf("field %d was taken for %d: %v", other, number, row)
			}
		}
	}
}

// TestProtoLate counts what columns cost that begin late, whatever the record looks like around them.
func TestProtoLate(t *testing.T) {
	const columns = 64
	var names, fields []string
	for i := range columns {
		names, fields = append(names, fmt.Sprintf("c%d DOUBLE", i)), append(fields, fmt.Sprintf("c%d double", i))
	}
	table := tableOf(t, strings.Join(names, ","))
	d, c := protoOf(t, table, marshal(t, messageOf(fields...))), chunkOf(t, table)
	first := wire{}.fixed64(1, 1)
	for range 200_000 { // 8 bytes each: 40 columns of them are the most
		if err := d.Decode(c, first); err != nil {
			t.Fatal(err)
		}
	}
	all := wire{}
	for i := range columns {
		all = all.fixed64(protowire.Number(i+1), 1)
	}
	before := c.Bytes()
	if err := refused(t, d, c, all); err.Reason != tooLate {
		t.Error(err)
	}
	if after := c.Bytes(); after != before {
		t.Errorf("%d bytes, %d before", after, before)
	}
}
