package schema

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
)

// schemas makes random schemas that protobuf can say.
type schemas struct{ *rand.Rand }

// names hold what a parser could take for something else; no two give the same name to a map's entries.
var columnNames = []string{
	"id", "a_b", "c__d", "_x", "y_", "Item", "x1_2", "message", "enum", "oneof", "option", "optional", "required", "repeated",
	"reserved", "extensions", "extend", "group", "map", "string", "int32", "bool", "syntax", "package", "import", "to", "max",
	"true", "inf", "key", "value", "Entry", "M", "m2", "service", "rpc",
}

// remarks are comments that could break out of a comment, or lose something on the way.
var remarks = []string{
	"", "", "", "the name", "two\nlines", "empty\n\nline", "ends\n", "\nbegins", " indented", "trailing  ", "\t", "*/ message X {}", "/* open",
	"// twice", "it's \"quoted\" \\", "DATE: days", "ärger 🙂", "a; } message Y {", "\n", " ",
}

func (s schemas) fields(depth int) []Field {
	names := slices.Clone(columnNames)
	s.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	fields := make([]Field, 1+s.IntN(6))
	for i := range fields {
		fields[i] = Field{Name: names[i], Type: s.typ(depth), Nullable: s.IntN(3) > 0, Comment: remarks[s.IntN(len(remarks))]}
	}
	return fields
}

func (s schemas) typ(depth int) Type {
	switch s.IntN(6) {
	case 0:
		elem := s.single(depth)
		return Type{Kind: Array, Elem: &elem, ElemNullable: true}
	case 1:
		keys := []Kind{Boolean, Byte, Short, Integer, Long, Date, Timestamp, TimestampNTZ, String, Decimal}
		key, elem := s.scalar(keys[s.IntN(len(keys))]), s.single(depth)
		return Type{Kind: Map, Key: &key, Elem: &elem, ElemNullable: true}
	}
	return s.single(depth)
}

func (s schemas) single(depth int) Type {
	if depth < 4 && s.IntN(3) == 0 {
		return Type{Kind: StructKind, Fields: s.fields(depth + 1)}
	}
	return s.scalar(Boolean + Kind(s.IntN(int(Variant))))
}

func (s schemas) scalar(k Kind) Type {
	t := Type{Kind: k}
	switch {
	case k == Decimal:
		t.Precision = 1 + s.IntN(MaxDecimalPrecision)
		t.Scale = s.IntN(t.Precision + 1)
	case k == String && s.IntN(3) == 0:
		t.Length, t.Fixed = 1+s.IntN(300), s.IntN(2) == 0
	}
	return t
}

// lessSaid is the schema as far as protobuf can say it: a list and a map are never NULL.
func lessSaid(fields []Field) []Field {
	fields = slices.Clone(fields)
	for i := range fields {
		f := &fields[i]
		f.Nullable = f.Nullable || f.Type.Kind == Array || f.Type.Kind == Map
		f.Type = lessSaidType(f.Type)
	}
	return fields
}

func lessSaidType(t Type) Type {
	if t.Elem != nil {
		t.Elem = ptr(lessSaidType(*t.Elem))
	}
	if t.Kind == StructKind {
		t.Fields = lessSaid(t.Fields)
	}
	return t
}

// placeless is a file without its name and the places of its declarations, and with comments in the order of their paths.
func placeless(f *descriptorpb.FileDescriptorProto) *descriptorpb.FileDescriptorProto {
	f = proto.CloneOf(f)
	f.Name = nil
	locations := f.GetSourceCodeInfo().GetLocation()
	for _, l := range locations {
		l.Span = nil
	}
	slices.SortFunc(locations, func(a, b *descriptorpb.SourceCodeInfo_Location) int { return slices.Compare(a.GetPath(), b.GetPath()) })
	return f
}

func TestFormatProto_WhatIsParsedIsTheSame(t *testing.T) {
	for seed := range uint64(500) {
		s := &Struct{Fields: schemas{rand.New(rand.NewPCG(seed, 1))}.fields(0)}
		f, err := s.Proto("M")
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		text := FormatProto(f)
		back, err := ParseProto(text)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		if got, want := placeless(back), placeless(f); !proto.Equal(got, want) {
			t.Fatalf("seed %d:\n%s\ngot  %v\nwant %v", seed, text, got, want)
		}
		if again := FormatProto(back); again != text {
			t.Fatalf("seed %d:\n%s\nbecame\n%s", seed, text, again)
		}
		back.Name = proto.String("m.proto")
		file, err := protodesc.NewFile(back, nil)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		if got, err := FromMessage(file.Messages().Get(0)); err != nil || !reflect.DeepEqual(got.Fields, lessSaid(s.Fields)) {
			t.Fatalf("seed %d: %v\n%s\ngot  %+v\nwant %+v", seed, err, text, got, lessSaid(s.Fields))
		}
	}
}

// written is a file as its text keeps it: comments in lines that end.
func written(f *descriptorpb.FileDescriptorProto) *descriptorpb.FileDescriptorProto {
	f = placeless(f)
	for _, l := range f.GetSourceCodeInfo().GetLocation() {
		for _, c := range []*string{l.LeadingComments, l.TrailingComments} {
			if c != nil {
				*c = strings.Join(commentLines(*c), "\n") + "\n"
			}
		}
	}
	return f
}

// FuzzParseProto: what is parsed is printed so that it parses to the same, and the text of that stays.
func FuzzParseProto(f *testing.F) {
	for seed := range uint64(5) {
		s := &Struct{Fields: schemas{rand.New(rand.NewPCG(seed, 2))}.fields(3)}
		if file, err := s.Proto("M"); err == nil {
			f.Add(FormatProto(file))
		}
	}
	f.Add("syntax = 'proto3'; /* a */ package a.b; import public \"\\x41\\u00e9\"; option (x.y).z = { a: [1, -.5e3] };\n// m\nmessage M { // n\n" +
		"optional M a = 1; map<string, .a.b.E> b = 0x2 [packed = false]; oneof o { /* p */\n\nM.N c = 3; } reserved 5 to max; message N {} }\n" +
		"enum E { A = 0; // a\n// b\n\nB = -017; C = 0; option allow_alias = true; reserved \"D\"; } service S { rpc X(M) returns (stream M) {} }")
	f.Add("message M { extensions 4 to 5, 7; repeated E e = 1 [packed = true, default = A]; required group = 2; enum E { A = 1; } }")
	f.Add("edition = '2023'; extend M {}")
	f.Add("message a { message b { optional .a x = 1; optional a.b y = 2; optional .string z = 3; message a {} } } message string {}")
	f.Fuzz(func(t *testing.T, text string) {
		first, err := ParseProto(text)
		if err != nil {
			if first != nil || strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), "line ") {
				t.Fatalf("%v, %q", first, err)
			}
			return
		}
		printed := FormatProto(first)
		second, err := ParseProto(printed)
		if err != nil {
			t.Fatalf("%v\n%s", err, printed)
		}
		if again := FormatProto(second); again != printed {
			t.Fatalf("%s\nbecame\n%s", printed, again)
		}
		if got, want := placeless(second), written(first); !proto.Equal(got, want) {
			t.Fatalf("%s\ngot  %v\nwant %v", printed, got, want)
		}
		if len(first.GetDependency()) > 0 {
			return
		}
		first.Name = proto.String("m.proto")
		if _, err := protodesc.NewFile(first, nil); err != nil && !strings.Contains(err.Error(), "using open semantics has conflict") {
			t.Fatalf("%v\n%s", err, printed)
		}
	})
}
