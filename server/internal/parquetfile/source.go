package parquetfile

import (
	"fmt"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/column"
)

// source is where a node's values are in a file, which has levels of its own: other writers have other groups around a list.
type source struct {
	node *node
	leaf *leaf     // nil for a group
	kids []*source // by the kids of the vector; nil where the file has nothing

	def   int   // the definition level from which on a value is there; an element of a list one above
	rep   int   // of a list: the repetition level of all its elements but the first
	outer int   // the greatest repetition level at which a value begins
	files []int // the file's columns that have its values, at least one
}

// sourceOf finds a table's column in a file; nil: it is not there.
func (t *tree) sourceOf(f *parquet.File, n *node) (*source, error) {
	c := n.find(f.Root())
	if c == nil {
		return nil, nil
	}
	return t.source(n, c, false)
}

// source makes the source of a node from the file's column that has its values. element says that the column itself repeats, as the
// elements of old forms of lists do.
func (t *tree) source(n *node, c *parquet.Column, element bool) (*source, error) {
	s := &source{node: n, def: c.MaxDefinitionLevel(), outer: c.MaxRepetitionLevel()}
	wrong := func(found string) (*source, error) {
		return nil, fmt.Errorf("column %s is %s in the file, expected %s", n.path, found, n.typ)
	}
	if c.Repeated() && !element {
		return wrong("repeated")
	}
	if n.leaf >= 0 {
		if !c.Leaf() {
			return wrong("nested")
		}
		s.leaf, s.files = &t.leaves[n.leaf], []int{c.Index()}
		return s, s.leaf.stored(c)
	}
	if c.Leaf() {
		return wrong("not nested")
	}
	kids := make([]*parquet.Column, len(n.kids))
	elements := false
	switch annotation := annotationOf(c); n.typ.Kind {
	case schema.Array:
		if annotation != "LIST" {
			return wrong("no list")
		}
		if len(c.Columns()) != 1 || !c.Columns()[0].Repeated() {
			return wrong("a list of unknown form")
		}
		kids[0], elements = elementOf(c)
		s.rep = c.MaxRepetitionLevel() + 1
	case schema.Map:
		if annotation != "MAP" {
			return wrong("no map")
		}
		if len(c.Columns()) != 1 || !c.Columns()[0].Repeated() {
			return wrong("a map of unknown form")
		}
		entry := c.Columns()[0].Columns()
		if len(entry) == 0 || len(entry) > 2 {
			return wrong("a map of unknown form")
		}
		copy(kids, entry)
		s.rep = c.MaxRepetitionLevel() + 1
	case schema.Variant:
		if c.Column("typed_value") != nil {
			return wrong("a shredded variant, which is not supported")
		}
		for i, k := range n.kids {
			if kids[i] = c.Column(k.name); kids[i] == nil {
				return wrong("no variant")
			}
		}
	default:
		if annotation != "" && annotation != "VARIANT" {
			return wrong("a " + annotation)
		}
		for i, k := range n.kids {
			kids[i] = k.find(c)
		}
	}
	s.kids = make([]*source, len(n.kids))
	for i, k := range n.kids {
		if kids[i] == nil {
			continue
		}
		below, err := t.source(k, kids[i], elements)
		if err != nil {
			return nil, err
		}
		s.kids[k.kid] = below
		s.files = append(s.files, below.files...)
	}
	if len(s.files) == 0 { // a struct of fields that are all unknown: any of its columns tells where it is null
		for !c.Leaf() {
			if len(c.Columns()) == 0 {
				return wrong("a group without columns")
			}
			c = c.Columns()[0]
		}
		s.files = []int{c.Index()}
	}
	return s, nil
}

// annotationOf is the logical type of a group, or "".
func annotationOf(c *parquet.Column) string {
	if t := c.Type().LogicalType(); t != nil {
		return t.String()
	}
	return ""
}

// elementOf gives the column with the elements of a list, and whether it is the repeated one itself: in lists of two levels, which
// old writers made. The rules are those of the format:
// https://github.com/apache/parquet-format/blob/master/LogicalTypes.md#backward-compatibility-rules.
func elementOf(list *parquet.Column) (*parquet.Column, bool) {
	r := list.Columns()[0]
	if r.Leaf() || len(r.Columns()) != 1 || r.Name() == "array" || r.Name() == list.Name()+"_tuple" || r.Columns()[0].Repeated() {
		return r, true
	}
	return r.Columns()[0], false
}

// stored reports a column whose physical type is not the leaf's. Decimals may have any of the format's forms.
func (l *leaf) stored(c *parquet.Column) error {
	kind := format.Type(c.Type().Kind())
	decimal := l.layout == column.Int128 && (kind == format.Int32 || kind == format.Int64 || kind == format.ByteArray || kind == format.FixedLenByteArray)
	if kind != l.physical && !decimal {
		return fmt.Errorf("column %s is stored as %s, expected %s for %s", l.path, kind, l.physical, l.typ)
	}
	return nil
}

// cells are the values of a row group that are still to come, by the file's columns. The reader of a column takes them from the front.
type cells struct {
	feeds []feed
	taken int // bytes of the values that were added to vectors
}

func (c *cells) peek(file int) (parquet.Value, error) {
	f := &c.feeds[file]
	if some, err := f.more(); !some {
		if err == nil {
			err = fmt.Errorf("the file is damaged: column %d of it ends inside of a row", file)
		}
		return parquet.Value{}, err
	}
	return f.next[0], nil
}

// skip drops what the columns of a source have of one value.
func (c *cells) skip(s *source) error {
	for _, file := range s.files {
		if _, err := c.peek(file); err != nil {
			return err
		}
		f := &c.feeds[file]
		f.next = f.next[1:]
		for {
			some, err := f.more()
			if err != nil {
				return err
			}
			if !some || f.next[0].RepetitionLevel() <= s.outer {
				break
			}
			f.next = f.next[1:]
		}
	}
	return nil
}

// row adds the value of the next row to the vector of a column of the table.
func (c *cells) row(s *source, v *column.Vector) error {
	if s.leaf == nil {
		for _, file := range s.files {
			if err := c.whole(s, file); err != nil {
				return err
			}
		}
	}
	return c.move(s, v)
}

// whole reports a row that has not ended.
func (c *cells) whole(s *source, file int) error {
	f := &c.feeds[file]
	some, err := f.more()
	if some && f.next[0].RepetitionLevel() != 0 {
		return behind(s)
	}
	return err
}

// end reports values behind the last row.
func (c *cells) end(s *source) error {
	for _, file := range s.files {
		if some, err := c.feeds[file].more(); err != nil {
			return err
		} else if some {
			return behind(s)
		}
	}
	return nil
}

func behind(s *source) error {
	return fmt.Errorf("the file is damaged: column %s has values behind the end of a row", s.node.path)
}

// move adds the next value of a source to a vector.
func (c *cells) move(s *source, v *column.Vector) error {
	x, err := c.peek(s.files[0])
	if err != nil {
		return err
	}
	if s.leaf != nil {
		f := &c.feeds[s.files[0]]
		f.next = f.next[1:]
		c.taken += minValue
		if s.leaf.layout == column.Bytes {
			c.taken += len(x.ByteArray())
		}
		return appendValue(v, s.leaf, x)
	}
	if x.DefinitionLevel() < s.def {
		v.AppendNull()
		return c.skip(s)
	}
	if !s.node.list() {
		if err := c.moveKids(s, v); err != nil {
			return err
		}
		v.EndStruct()
		return nil
	}
	if x.DefinitionLevel() == s.def {
		v.EndList()
		return c.skip(s)
	}
	for {
		if err := c.moveKids(s, v); err != nil {
			return err
		}
		f := &c.feeds[s.files[0]]
		some, err := f.more()
		if err != nil {
			return err
		}
		if !some || f.next[0].RepetitionLevel() < s.rep {
			v.EndList()
			return nil
		}
		if f.next[0].RepetitionLevel() > s.rep {
			return fmt.Errorf("the file is damaged: column %s goes on in a list that has not begun", s.node.path)
		}
	}
}

// moveKids adds the next value to every kid of a vector.
func (c *cells) moveKids(s *source, v *column.Vector) error {
	found := false
	for i := range v.Kids {
		k := s.kids[i]
		if k == nil {
			v.Kids[i].AppendNull()
			continue
		}
		found = true
		if err := c.move(k, &v.Kids[i]); err != nil {
			return err
		}
		if s.node.typ.Kind == schema.Variant && !v.Kids[i].IsValid(v.Kids[i].N-1) {
			return fmt.Errorf("column %s has a variant without %s", s.node.path, k.node.name)
		}
	}
	if !found {
		return c.skip(s)
	}
	return nil
}
