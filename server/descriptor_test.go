package server_test

import (
	"fmt"
	"maps"
	"strconv"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/schema"
)

// Descriptors of all origins feed the same table, because fields and columns meet by name: those that the SDK makes, those
// with other numbers and another order, those of a package, of proto3, and those whose references to nested types are
// written in any of the protocol's three ways.
func TestServer_DescriptorsOfAllOrigins(t *testing.T) {
	h := start(t)
	h.sql("CREATE TABLE main.default.events (id BIGINT NOT NULL, kind STRING, day DATE, note STRING) USING DELTA;")
	h.id, h.secret = h.principal("events", "main.default.events")
	sdk, auth := h.sdk(), h.credentials()
	described, err := sdk.DescribeTable(t.Context(), "main.default.events", auth)
	if err != nil {
		t.Fatal(err)
	}

	parse := func(text string) *descriptorpb.DescriptorProto {
		f, err := schema.ParseProto(text)
		if err != nil {
			t.Fatal(err)
		}
		f.Name = proto.String("m.proto")
		fd, err := protodesc.NewFile(f, nil)
		if err != nil {
			t.Fatal(err)
		}
		return protodesc.ToDescriptorProto(fd.Messages().Get(0))
	}
	const enum = " enum Kind { UNKNOWN = 0; START = 1; STOP = 2; }"
	descriptors := map[string]*descriptorpb.DescriptorProto{
		"of DescribeTable":         described.Descriptor,
		"numbers in order":         parse(`message M {optional int64 id = 1; optional string kind = 2; optional int32 day = 3; optional string note = 4;}`),
		"other numbers and order":  parse(`message M {optional string note = 700; required sint64 id = 9; optional sfixed32 day = 536870911; optional string kind = 1;}`),
		"fewer fields":             parse(`message M {required int64 id = 3; optional string kind = 2;}`),
		"of a package":             parse(`package a.b; message M {required int64 id = 1; optional Kind kind = 2;` + enum + `}`),
		"of proto3":                parse(`syntax = "proto3"; message M {optional int64 id = 1; string kind = 2; optional int32 day = 3;}`),
		"a oneof":                  parse(`message M {required int64 id = 1; oneof text {string kind = 2; string note = 3;}}`),
		"a nested type of its own": parse(`message M {required int64 id = 1; optional Kinds.Kind kind = 2; message Kinds {` + enum + `}}`),
	}
	for name, reference := range map[string]string{"with a package": ".a.b.M.Kind", "without a package": ".M.Kind", "relative": "Kind"} {
		d := parse(`message M {required int64 id = 1; optional Kind kind = 2;` + enum + `}`)
		d.Field[1].TypeName = proto.String(reference)
		descriptors["a reference "+name] = d
	}

	id, want := int64(0), map[int64]bool{}
	for name, d := range descriptors {
		stream, err := sdk.CreateStream(t.Context(), zerobus.TableProperties{Name: "main.default.events", Descriptor: d}, auth, zerobus.WithSchemaCheck(true))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		md, err := schema.Resolve(d)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for range 3 {
			id++
			want[id] = true
			m := dynamicpb.NewMessage(md)
			m.Set(md.Fields().ByName("id"), protoreflect.ValueOfInt64(id))
			switch kind := md.Fields().ByName("kind"); kind.Kind() {
			case protoreflect.EnumKind:
				m.Set(kind, protoreflect.ValueOfEnum(1))
			default:
				m.Set(kind, protoreflect.ValueOfString("START"))
			}
			if _, err := stream.Ingest(t.Context(), zerobus.Proto(m)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := stream.Close(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	got := map[int64]bool{}
	for _, row := range h.head("main.default.events") {
		values := row.([]any)
		id, err := strconv.ParseInt(fmt.Sprint(values[0]), 10, 64)
		if err != nil || values[1] != "START" || values[2] != nil || values[3] != nil {
			t.Errorf("row %v", row)
		}
		got[id] = true
	}
	if !maps.Equal(got, want) {
		t.Errorf("the table has %v, want %v", got, want)
	}
}
