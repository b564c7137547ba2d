package variant

import (
	"fmt"
	"sync"
	"unsafe"

	"github.com/parquet-go/parquet-go/variant"

	"github.com/zerobus-go/zerobus/internal/jsonscan"
)

const (
	// MaxDepth is how deep arrays and objects may be nested. The client's encoder has the same limit.
	MaxDepth = 100

	// MaxSize is the most bytes of a metadata or a value. Spark 4.0 refuses to read more.
	MaxSize = 16 << 20
)

var encoders = sync.Pool{New: func() any { return new(Encoder) }}

// Append appends the variant encoding of a JSON text to metadata and to value. The reason is why the text is refused, such as
// "expected value" or "duplicate key 'a'"; it is empty when all is well. On refusal both come back as they were, though the
// memory behind their ends may have been written. The text is not kept; it must not overlap that memory.
func Append(metadata, value, text []byte) (m, v []byte, reason string) {
	e := encoders.Get().(*Encoder)
	m, v, reason = e.Append(metadata, value, text)
	encoders.Put(e)
	return m, v, reason
}

// Encoder is [Append] with memory of its own, for those who encode many texts. The zero value is ready; once used, it must not be
// copied.
type Encoder struct {
	text    jsonscan.Scratch
	names   names
	keys    []key // of the objects that are open
	objects int32 // that have ended in this text

	dictionary variant.MetadataBuilder
	builder    *variant.Builder
}

// key is a key of an object that is being read.
type key struct {
	name int32 // in names
	at   int   // where it stands
}

// maxKept is the longest text after which the memory is kept.
const maxKept = 64 << 10

// Append is like the function.
func (e *Encoder) Append(metadata, value, text []byte) (m, v []byte, reason string) {
	if e.builder == nil {
		e.builder = variant.NewBuilderWithMetadata(&e.dictionary)
	}
	m, v, reason = e.append(metadata, value, text)
	if len(text) > maxKept {
		*e = Encoder{}
		return m, v, reason
	}
	e.builder.Reset()
	e.dictionary.Reset()
	e.names.reset()
	e.keys, e.objects = e.keys[:0], 0
	return m, v, reason
}

func (e *Encoder) append(metadata, value, text []byte) (m, v []byte, reason string) {
	if reason = e.check(text); reason != "" {
		return metadata, value, reason
	}
	for _, n := range e.names.sorted() {
		e.dictionary.Add(view(e.names.name(n)))
	}
	if e.dictionary.Size() > MaxSize {
		return metadata, value, tooLarge
	}
	if _, reason = e.value(text, jsonscan.Space(text, 0)); reason != "" {
		return metadata, value, reason
	}
	encoded, err := e.builder.Bytes()
	if err != nil { // check has seen to it that there is none
		return metadata, value, jsonscan.Clip(err.Error())
	}
	m = e.dictionary.AppendTo(metadata)
	if len(m)-len(metadata) > MaxSize || len(encoded) > MaxSize {
		return metadata, value, tooLarge
	}
	return m, append(value, encoded...), ""
}

var tooLarge = fmt.Sprintf("the value takes more than %d bytes as VARIANT", MaxSize)

// view is a string of the same memory, for callees that do not keep it.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// The first pass reads the text, to see that it is JSON and which keys there are: the dictionary must be whole before an object
// can say its keys. Like jsonscan, its methods return the position behind what they read, or that of the fault and a reason.

func (e *Encoder) check(b []byte) string {
	i, reason := e.checkValue(b, jsonscan.Space(b, 0), MaxDepth)
	if reason == "" && jsonscan.Space(b, i) < len(b) {
		reason = "trailing characters"
	}
	return reason
}

func (e *Encoder) checkValue(b []byte, i, depth int) (at int, reason string) {
	if i == len(b) || b[i] != '{' && b[i] != '[' {
		return e.text.Value(b, i, 0)
	}
	if depth == 0 {
		return i, "arrays and objects are nested too deep"
	}
	object, closing := b[i] == '{', b[i]+2
	i = jsonscan.Space(b, i+1)
	if i < len(b) && b[i] == closing {
		return i + 1, ""
	}
	first := len(e.keys)
	for last := false; !last; {
		if object {
			if i, reason = e.checkKey(b, i); reason != "" {
				return i, reason
			}
		}
		if i, reason = e.checkValue(b, i, depth-1); reason != "" {
			return i, reason
		}
		if i, last, reason = jsonscan.Next(b, i, closing); reason != "" {
			return i, reason
		}
	}
	if object {
		return e.checkKeys(i, first)
	}
	return i, ""
}

// checkKey reads a key and the colon.
func (e *Encoder) checkKey(b []byte, i int) (at int, reason string) {
	if reason = jsonscan.Key(b, i); reason != "" {
		return i, reason
	}
	name, end, reason := e.text.View(b, i)
	if reason != "" {
		return end, reason
	}
	e.keys = append(e.keys, key{e.names.add(name), i})
	return jsonscan.Colon(b, end)
}

// checkKeys ends an object behind its closing brace, at i. Its keys are those from first on.
func (e *Encoder) checkKeys(i, first int) (at int, reason string) {
	e.objects++
	for _, k := range e.keys[first:] {
		if !e.names.mark(k.name, e.objects) {
			return k.at, "duplicate key '" + jsonscan.Clip(e.names.name(k.name)) + "'"
		}
	}
	e.keys = e.keys[:first]
	return i, ""
}

// value is the second pass: it writes the value at b[i], which is JSON. Only numbers can be refused.
func (e *Encoder) value(b []byte, i int) (at int, reason string) {
	switch b[i] {
	case 'n':
		e.builder.Null()
		return i + len("null"), ""
	case 't':
		e.builder.Bool(true)
		return i + len("true"), ""
	case 'f':
		e.builder.Bool(false)
		return i + len("false"), ""
	case '"':
		text, end, reason := e.text.View(b, i)
		e.builder.String(view(text))
		return end, reason
	case '{', '[':
		return e.members(b, i)
	}
	return e.number(b, i)
}

// members writes the array or object at b[i].
func (e *Encoder) members(b []byte, i int) (at int, reason string) {
	object, closing := b[i] == '{', b[i]+2
	if object {
		e.builder.BeginObject()
	} else {
		e.builder.BeginArray()
	}
	i = jsonscan.Space(b, i+1)
	last := b[i] == closing
	if last {
		i++
	}
	for !last {
		if object {
			name, end, _ := e.text.View(b, i)
			e.builder.Field(view(name))
			i, _ = jsonscan.Colon(b, end)
		}
		if i, reason = e.value(b, i); reason != "" {
			return i, reason
		}
		i, last, _ = jsonscan.Next(b, i, closing)
	}
	if object {
		e.builder.EndObject()
	} else {
		e.builder.EndArray()
	}
	return i, ""
}
