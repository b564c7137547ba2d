package sink

import (
	"errors"
	"fmt"

	"github.com/zerobus-go/zerobus/internal/wire"
)

// checker puts the messages of one stream together and verifies them.
type checker struct {
	records int64
	buf     []byte
	req     wire.Request
}

func (c *checker) add(b []byte) { c.buf = append(c.buf, b...) }

// message verifies what was added, which is the message with the offset want; -1 is create_stream.
func (c *checker) message(want int64) error {
	defer func() { c.buf = c.buf[:0] }()
	r := &c.req
	if err := wire.ParseRequest(c.buf, r); err != nil {
		return err
	}
	if want < 0 {
		if r.Kind != wire.RequestCreate {
			return fmt.Errorf("the first message is %v; it must be create_stream", r.Kind)
		}
		return nil
	}
	if r.Kind != wire.RequestRecord && r.Kind != wire.RequestBatch {
		return fmt.Errorf("the message is %v; it must carry records", r.Kind)
	}
	switch {
	case !r.HasOffset:
		return fmt.Errorf("the message has no offset; it must be %d", want)
	case r.Offset != want:
		return fmt.Errorf("the offset is %d; it must be %d", r.Offset, want)
	case r.Type == wire.Unspecified:
		return errors.New("the message has no payload")
	}
	if r.Kind == wire.RequestRecord {
		c.records++
		return nil
	}
	for body := r.Body; ; {
		rec, rest, err := wire.NextRecord(body)
		if err != nil {
			return err
		}
		if rec == nil {
			return nil
		}
		c.records++
		body = rest
	}
}
