package main

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/zerobus-go/zerobus/schema"
)

// columns are rows as other decoders leave them: a slice for each column, without nulls.
type columns struct {
	names map[string]int
	kinds []protoreflect.Kind
	all   []vector
}

// vector is one column. The slice of its kind holds values.
type vector struct {
	ints   []int64
	floats []float64
	bools  []bool
	data   []byte // of texts and bytes, with the ends of values
	ends   []int
}

// newColumns makes the columns of a message of scalars.
func newColumns(md protoreflect.MessageDescriptor) *columns {
	c := &columns{names: map[string]int{}, all: make([]vector, md.Fields().Len())}
	for i := range c.all {
		f := md.Fields().Get(i)
		c.names[string(f.Name())] = i
		c.kinds = append(c.kinds, f.Kind())
	}
	return c
}

func (c *columns) reset() {
	for i := range c.all {
		v := &c.all[i]
		v.ints, v.floats, v.bools, v.data, v.ends = v.ints[:0], v.floats[:0], v.bools[:0], v.data[:0], v.ends[:0]
	}
}

func (v *vector) bytes(b []byte) {
	v.data = append(v.data, b...)
	v.ends = append(v.ends, len(v.data))
}

func (v *vector) text(s string) {
	v.data = append(v.data, s...)
	v.ends = append(v.ends, len(v.data))
}

// rows is how many values every column has, or an error when they differ.
func (c *columns) rows() (n int, err error) {
	for i := range c.all {
		v := &c.all[i]
		have := len(v.ints) + len(v.floats) + len(v.bools) + len(v.ends)
		if i > 0 && have != n {
			return 0, fmt.Errorf("column %d has %d values, the first has %d", i, have, n)
		}
		n = have
	}
	return n, nil
}

// resolve makes a message's descriptor of a serialized DescriptorProto.
func resolve(b []byte) (protoreflect.MessageDescriptor, error) {
	d := new(descriptorpb.DescriptorProto)
	if err := proto.Unmarshal(b, d); err != nil {
		return nil, err
	}
	return schema.Resolve(d)
}
