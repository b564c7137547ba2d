package decode

import (
	"github.com/zerobus-go/zerobus/internal/jsonscan"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// tooMany is the reason when the structs in arrays and maps have more fields than what a batch may cost: an empty one takes a
// few bytes, and a look at each field.
const tooMany = "the structs in the arrays and maps of the batch have too many fields together: send smaller batches"

// structure reads the object at b[i] as a struct.
func (d *jsonDecoder) structure(v *column.Vector, p *jsonPlan, b []byte, i int) int {
	if i == len(b) || b[i] != '{' {
		return d.mistyped(p.name, b, i, "an object")
	}
	row := v.N
	end := d.object(p.object, v.Kids, row, b, i+1)
	if end < 0 {
		return end
	}
	if !p.object.whole {
		if f := d.absent(v.Kids, p.object, row); f != nil {
			return d.fail(f.name, end-1, f.absent)
		}
	}
	v.EndStruct()
	return end
}

// absent gives the kids that got no value a null. It returns the first one that may not have it.
func (d *jsonDecoder) absent(kids []column.Vector, o *jsonObject, row int) *jsonField {
	for k := range kids {
		if kids[k].N > row {
			continue
		}
		if o.fields[k].notNull {
			return &o.fields[k]
		}
		kids[k].AppendNull()
	}
	return nil
}

// array reads the array at b[i].
func (d *jsonDecoder) array(v *column.Vector, p *jsonPlan, b []byte, i int) int {
	if i == len(b) || b[i] != '[' {
		return d.mistyped(p.name, b, i, "an array")
	}
	i = jsonscan.Space(b, i+1)
	last := i < len(b) && b[i] == ']'
	if last {
		i++
	}
	elements := &v.Kids[0]
	for !last {
		if i = d.element(elements, p.elem, b, i); i < 0 {
			return i
		}
		var reason string
		if i, last, reason = jsonscan.Next(b, i, ']'); reason != "" {
			return d.fail(p.name, i, reason)
		}
	}
	v.EndList()
	return i
}

// entries reads the object at b[i] as a map.
func (d *jsonDecoder) entries(v *column.Vector, p *jsonPlan, b []byte, i int) int {
	if i == len(b) || b[i] != '{' {
		return d.mistyped(p.name, b, i, "an object")
	}
	i = jsonscan.Space(b, i+1)
	if i < len(b) && b[i] == '}' {
		v.EndList()
		return i + 1
	}
	end := d.pairs(v, p, b, i)
	p.keys.letGo()
	if end >= 0 {
		v.EndList()
	}
	return end
}

// pairs reads the members of a map, the first of which is at b[i], and its closing brace.
func (d *jsonDecoder) pairs(v *column.Vector, p *jsonPlan, b []byte, i int) int {
	keys, values, begin := &v.Kids[0], &v.Kids[1], v.Begun()
	for last := false; !last; {
		at := i
		if i = d.entryKey(keys, p, b, i); i < 0 {
			return i
		}
		if !p.keys.isNew(keys, begin) {
			return d.fail(p.name, at, "duplicate key '"+d.keyText(b, at)+"'")
		}
		var reason string
		if i, reason = jsonscan.Colon(b, i); reason != "" {
			return d.fail(p.name, i, reason)
		}
		if i = d.element(values, p.elem, b, i); i < 0 {
			return i
		}
		if i, last, reason = jsonscan.Next(b, i, '}'); reason != "" {
			return d.fail(p.name, i, reason)
		}
	}
	return i
}

// element reads an element of an array, or a value of a map.
func (d *jsonDecoder) element(v *column.Vector, p *jsonPlan, b []byte, i int) int {
	if p.cells > 0 {
		if !d.dst.Nest(p.cells) {
			return d.fail(p.name, i, tooMany)
		}
		if !d.budget.spend(d.dst, p.cells) {
			return d.fail(p.name, i, tooLarge)
		}
	}
	if v.AllNull() && i < len(b) && b[i] != 'n' && !d.dst.Begin(v) {
		return d.fail(p.name, i, tooLate)
	}
	return d.value(v, p, b, i)
}

// variantText reads the string at b[i], whose text is JSON in turn, as a VARIANT.
func (d *jsonDecoder) variantText(v *column.Vector, p *jsonPlan, b []byte, i int) int {
	if i == len(b) || b[i] != '"' {
		return d.mistyped(p.name, b, i, "a string with JSON text")
	}
	text, end, reason := d.text.View(b, i)
	if reason != "" {
		return d.fail(p.name, end, reason)
	}
	metadata, value := &v.Kids[column.VariantMetadata], &v.Kids[column.VariantValue]
	if v.AllNull() && (!d.dst.Begin(metadata) || !d.dst.Begin(value)) {
		return d.fail(p.name, i, tooLate)
	}
	metadata.Data, value.Data, reason = d.variant.Append(metadata.Data, value.Data, text)
	if reason != "" {
		return d.fail(p.name, i, "the string holds no JSON text: "+reason)
	}
	metadata.EndBytes()
	value.EndBytes()
	v.EndStruct()
	return end
}
