package schema

import (
	"encoding/binary"

	"github.com/zerobus-go/zerobus/internal/jsonscan"
)

// record encodes the whole record.
func (s *encodeState) record(o *encodeObject, b []byte) int {
	i := jsonscan.Space(b, 0)
	if i == len(b) || b[i] != '{' {
		return s.mistyped("", b, i, "an object")
	}
	if i = s.object(o, b, i+1); i < 0 {
		return i
	}
	if i = jsonscan.Space(b, i); i < len(b) {
		return s.fail("", i, "trailing characters")
	}
	return i
}

// object reads the members and the closing brace of an object whose opening brace ends at i.
func (s *encodeState) object(o *encodeObject, b []byte, i int) int {
	s.objects++
	object := s.objects // another one may begin in this one
	missing := o.notNull
	places := s.places[o.places:]
	i = jsonscan.Space(b, i)
	if i < len(b) && b[i] == '}' {
		return s.endObject(o, object, missing, i+1)
	}
	last := 0 // 1 + the last member
	for {
		at := i
		n := places[last].next
		key := o.members[n].key
		due := len(b)-i >= len(key) && string(b[i:i+len(key)]) == string(key)
		if due {
			i += len(key)
		} else {
			if n, i = s.memberKey(o, b, i); i < 0 {
				return i
			}
			places[last].next = n
		}
		m := &o.members[n]
		last = int(n) + 1
		if places[last].seen == object {
			return s.fail(o.path, at, "duplicate field '"+jsonscan.Clip(m.name)+"'")
		}
		places[last].seen = object
		if m.absent != "" {
			missing--
		}
		var reason string
		if due {
			i = jsonscan.Space(b, i)
		} else if i, reason = jsonscan.Colon(b, i); reason != "" {
			return s.fail(o.path, i, reason)
		}
		if i = s.value(&m.encodePlan, b, i); i < 0 {
			return i
		}
		if i+1 < len(b) && b[i] == ',' && b[i+1] == '"' { // as most records have it: Next would be a call
			i++
			continue
		}
		var done bool
		if i, done, reason = jsonscan.Next(b, i, '}'); reason != "" {
			return s.fail(o.path, i, reason)
		}
		if done {
			return s.endObject(o, object, missing, i)
		}
	}
}

// memberKey reads a key that was not due and finds its member.
func (s *encodeState) memberKey(o *encodeObject, b []byte, i int) (int32, int) {
	if reason := jsonscan.Key(b, i); reason != "" {
		return 0, s.fail(o.path, i, reason)
	}
	name, end, reason := s.scratch.View(b, i)
	if reason != "" {
		return 0, s.fail(o.path, end, reason)
	}
	n, ok := o.index[string(name)]
	if !ok {
		return 0, s.fail(o.path, i, "unrecognized field name '"+jsonscan.Clip(name)+"'")
	}
	return n, end
}

// endObject ends an object behind its closing brace: it refuses one in which members are missing.
func (s *encodeState) endObject(o *encodeObject, object uint64, missing, end int) int {
	if missing == 0 {
		return end
	}
	n := 0
	for o.members[n].absent == "" || s.places[o.places+1+n].seen == object {
		n++
	}
	return s.fail(o.members[n].path, end-1, o.members[n].absent)
}

// structure writes the message of the object at b[i].
func (s *encodeState) structure(p *encodePlan, b []byte, i int) int {
	if i == len(b) || b[i] != '{' {
		return s.mistyped(p.path, b, i, "an object")
	}
	begin := s.open(p.tag)
	if i = s.object(p.object, b, i+1); i >= 0 {
		s.close(begin)
	}
	return i
}

// array writes a field for each element of the array at b[i].
func (s *encodeState) array(p *encodePlan, b []byte, i int) int {
	if i == len(b) || b[i] != '[' {
		return s.mistyped(p.path, b, i, "an array")
	}
	i = jsonscan.Space(b, i+1)
	if i < len(b) && b[i] == ']' {
		return i + 1
	}
	for last := false; !last; {
		if i = s.value(p.elem, b, i); i < 0 {
			return i
		}
		var reason string
		if i, last, reason = jsonscan.Next(b, i, ']'); reason != "" {
			return s.fail(p.path, i, reason)
		}
	}
	return i
}

// entries writes a message of key and value for each member of the object at b[i].
func (s *encodeState) entries(p *encodePlan, b []byte, i int) int {
	if i == len(b) || b[i] != '{' {
		return s.mistyped(p.path, b, i, "an object")
	}
	i = jsonscan.Space(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1
	}
	s.sets[p.set].reset()
	for last := false; !last; {
		begin := s.open(p.tag)
		if i = s.entryKey(p, b, i); i < 0 {
			return i
		}
		var reason string
		if i, reason = jsonscan.Colon(b, i); reason != "" {
			return s.fail(p.path, i, reason)
		}
		if i = s.value(p.elem, b, i); i < 0 {
			return i
		}
		s.close(begin)
		if i, last, reason = jsonscan.Next(b, i, '}'); reason != "" {
			return s.fail(p.path, i, reason)
		}
	}
	return i
}

// open begins a field with a length, for which it leaves one byte.
func (s *encodeState) open(tag uint64) (begin int) {
	s.out = append(binary.AppendUvarint(s.out, tag), 0)
	return len(s.out)
}

// close writes the length of what stands behind begin. When it takes more than the byte that was left, all of that moves.
func (s *encodeState) close(begin int) {
	n := len(s.out) - begin
	if n < 0x80 {
		s.out[begin-1] = byte(n)
		return
	}
	var length [binary.MaxVarintLen64]byte
	size := binary.PutUvarint(length[:], uint64(n))
	s.out = append(s.out, length[1:size]...)
	copy(s.out[begin+size-1:], s.out[begin:begin+n])
	copy(s.out[begin-1:], length[:size])
}
