package sink

import (
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	prefixSize = 5 // of a gRPC message: one byte for compression, four for the length

	// maxMessage is far above what the protocol allows for one request. It is for clients that lose their place in their
	// own bytes, which a sink that skips whatever length it is told would wait for without a word.
	maxMessage = 64 << 20
)

var (
	errCompressed = errors.New("the message is compressed, which nobody has asked for")
	errCut        = errors.New("the stream ends within a message")
)

// cursor finds gRPC messages in the DATA of one stream, wherever its bytes are cut. It reads the prefixes only.
type cursor struct {
	count int64    // complete messages, create_stream among them
	bytes int64    // of those but for create_stream
	check *checker // gets the bytes of the messages; nil without [Config.Check]

	left   int // of the message in which it stands
	size   int // of that message
	have   int // bytes of a prefix that is not complete
	prefix [prefixSize]byte
}

// skip uses up all of b, or stops at an error. After an error the cursor is of no more use.
func (c *cursor) skip(b []byte) error {
	for len(b) > 0 {
		if c.left == 0 {
			p := b
			if c.have == 0 && len(b) >= prefixSize {
				b = b[prefixSize:]
			} else {
				n := copy(c.prefix[c.have:], b)
				c.have += n
				b = b[n:]
				if c.have < prefixSize {
					return nil
				}
				p, c.have = c.prefix[:], 0
			}
			if p[0] != 0 {
				return errCompressed
			}
			size := binary.BigEndian.Uint32(p[1:])
			if size > maxMessage {
				return fmt.Errorf("the message has %d bytes; the most are %d", size, maxMessage)
			}
			c.size, c.left = int(size), int(size)
		}
		n := min(c.left, len(b))
		if c.check != nil {
			c.check.add(b[:n])
		}
		b = b[n:]
		if c.left -= n; c.left > 0 {
			return nil
		}
		if c.check != nil {
			if err := c.check.message(c.count - 1); err != nil {
				return err
			}
		}
		if c.count++; c.count > 1 {
			c.bytes += int64(c.size)
		}
	}
	return nil
}

// newest returns the offset of the newest complete message, -1 when there is none but create_stream.
func (c *cursor) newest() int64 { return max(c.count, 1) - 2 }

// records returns how many there were, as far as they are counted.
func (c *cursor) records() int64 {
	if c.check == nil {
		return 0
	}
	return c.check.records
}

// cut reports whether the cursor stands within a message.
func (c *cursor) cut() bool { return c.left > 0 || c.have > 0 }
