package variant

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// maxReadDepth bounds how deep a value that is read may be nested, more than Spark gives. The library recurses, and a stack that
// overflows ends the process.
const maxReadDepth = 1000

var errOverlap = errors.New("values of the variant overlap")

// inspector looks through a value before the library decodes it. Fields of objects say themselves where they are: a few bytes can say
// it of one place so often that to decode them would never end.
type inspector struct {
	left int // bytes that no value has claimed
}

// inspect reports a value that is nested too deep, or whose parts claim more bytes than there are. All other faults are for the
// library to find.
func inspect(value []byte) error {
	n := inspector{left: len(value)}
	return n.value(value, 0)
}

func (n *inspector) claim(bytes int) error {
	if n.left -= bytes; n.left < 0 {
		return errOverlap
	}
	return nil
}

// value looks at the value that b begins with.
func (n *inspector) value(b []byte, depth int) error {
	if len(b) == 0 {
		return nil
	}
	header := int(b[0] >> 2)
	switch b[0] & 3 {
	case 0:
		const binaryValue, stringValue = 15, 16
		if (header == binaryValue || header == stringValue) && len(b) > 4 {
			return n.claim(5 + int(binary.LittleEndian.Uint32(b[1:])))
		}
		return n.claim(1)
	case 1:
		return n.claim(1 + header)
	case 2:
		return n.members(b, header&3+1, header>>2&3+1, header>>4&1 != 0, depth)
	}
	return n.members(b, header&3+1, 0, header>>2&1 != 0, depth)
}

// members looks at an object, whose ids take so many bytes each, or at an array, which has none.
func (n *inspector) members(b []byte, offsetSize, idSize int, large bool, depth int) error {
	if depth == maxReadDepth {
		return fmt.Errorf("the variant is nested more than %d levels deep", maxReadDepth)
	}
	count, at := 0, 2
	switch {
	case large && len(b) >= 5:
		count, at = int(binary.LittleEndian.Uint32(b[1:])), 5
	case !large && len(b) >= 2:
		count = int(b[1])
	default:
		return nil
	}
	if count > len(b)/(offsetSize+idSize) {
		return nil
	}
	offsets := at + count*idSize
	begin := offsets + (count+1)*offsetSize
	if begin > len(b) {
		return nil
	}
	if err := n.claim(begin); err != nil {
		return err
	}
	for i := range count {
		var wide [4]byte
		copy(wide[:], b[offsets+i*offsetSize:][:offsetSize])
		if offset := int(binary.LittleEndian.Uint32(wide[:])); offset < len(b)-begin {
			if err := n.value(b[begin+offset:], depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}
