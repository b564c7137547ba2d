package jsonscan

// Value reads any value whose arrays and objects are nested no more than depth levels deep. Keys may repeat.
func (s *Scratch) Value(b []byte, i, depth int) (at int, reason string) {
	switch {
	case i == len(b):
		return i, eofValue
	case b[i] == '"':
		_, at, reason = s.View(b, i)
		return at, reason
	case b[i] == '{' || b[i] == '[':
		if depth == 0 {
			return i, "arrays and objects are nested too deep"
		}
		return s.members(b, i, depth-1)
	case b[i] == '-', b[i] >= '0' && b[i] <= '9':
		if at = Number(b, i); at < 0 {
			return i, badNumber
		}
		return at, ""
	case Literal(b, i, "true"), Literal(b, i, "null"):
		return i + len("true"), ""
	case Literal(b, i, "false"):
		return i + len("false"), ""
	}
	return i, noValue
}

// members reads the array or object that begins at b[i].
func (s *Scratch) members(b []byte, i, depth int) (at int, reason string) {
	object := b[i] == '{'
	closing := byte(']')
	if object {
		closing = '}'
	}
	i = Space(b, i+1)
	if i < len(b) && b[i] == closing {
		return i + 1, ""
	}
	for last := false; !last; {
		if object {
			if reason = Key(b, i); reason != "" {
				return i, reason
			}
			if _, i, reason = s.View(b, i); reason != "" {
				return i, reason
			}
			if i, reason = Colon(b, i); reason != "" {
				return i, reason
			}
		}
		if i, reason = s.Value(b, i, depth); reason != "" {
			return i, reason
		}
		if i, last, reason = Next(b, i, closing); reason != "" {
			return i, reason
		}
	}
	return i, ""
}
