package parquetfile

import "github.com/zerobus-go/zerobus/server/internal/column"

// survey is what must be known of a leaf's values in a row group before its first page: their bounds, and the dictionary if one pays. It
// belongs to the goroutine that makes it until done has an element.
type survey struct {
	leaf     *leaf
	spans    []span
	dict     *dictionary // nil if none is tried
	bounds   bounds
	numbered bool // by the dictionary

	begun bool          // by another goroutine, and not waited for
	done  chan struct{} // capacity 1
}

// begin makes the survey beside the caller, if a core is free and it is worth it.
func (s *survey) begin() bool {
	if s.begun {
		return true
	}
	n := 0
	for _, of := range s.spans {
		n += of.hi - of.lo
	}
	s.begun = n*max(s.leaf.size, 4) >= minHelped && helped(s.make, s.done)
	return s.begun
}

// wait returns when the survey is made, if another goroutine has begun it.
func (s *survey) wait() {
	if s.begun {
		<-s.done
		s.begun = false
	}
}

func (s *survey) make() {
	values, nulls := countSpans(s.spans)
	if s.dict != nil && values > nulls {
		s.numbered = s.dict.build(s.leaf, s.spans, values-nulls)
	}
	if s.numbered && s.leaf.layout == column.Bytes {
		s.bounds.rows, s.bounds.nulls = int64(values), int64(nulls)
		for _, x := range s.dict.strings {
			s.bounds.addBytes(x, x)
		}
		return
	}
	for _, of := range s.spans {
		s.bounds.add(s.leaf.layout, of)
	}
}
