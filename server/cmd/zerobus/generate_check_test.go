package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

const checkTable = "CREATE TABLE main.default.air (device_name STRING NOT NULL, temp INT, humidity BIGINT, place STRUCT<zip: INT, city: STRING>)"

// air is a .proto file of one message, Air, with these fields.
func air(t *testing.T, fields string) string {
	t.Helper()
	return writeFile(t, "air.proto", []byte("syntax = \"proto2\";\npackage sensors;\nmessage Air {\n"+fields+"\n}\n"))
}

const airFields = `required string device_name = 1; optional int32 temp = 2; optional int64 humidity = 3;
  message Place { optional int32 zip = 1; optional string city = 2; } optional Place place = 4;`

func TestGenerateCheck_AMessageThatFits(t *testing.T) {
	noVariables(t)
	table, file := ddl(t, checkTable), air(t, airFields)
	out, errw := generate(t, 0, nil, "--ddl", table, "--check", file)
	if want := file + " fits main.default.air: 4 fields\n"; out != want || errw != "" {
		t.Errorf("got %q and %q, want %q", out, errw, want)
	}
	out, _ = generate(t, 0, strings.NewReader(read(t, file)), "--ddl", table, "--check", "-")
	if want := "stdin fits main.default.air: 4 fields\n"; out != want {
		t.Errorf("got %q, want %q", out, want)
	}
	out, _ = generate(t, 0, strings.NewReader(checkTable), "--ddl", "-", "--check", file)
	if want := file + " fits main.default.air: 4 fields\n"; out != want {
		t.Errorf("got %q, want %q", out, want)
	}
}

// Risky and absent findings are listed, and the exit status is 0: a stream opens.
func TestGenerateCheck_FindingsThatLetAStreamOpen(t *testing.T) {
	noVariables(t)
	file := air(t, `required string device_name = 1; optional int64 temp = 2;
  message Place { optional int32 zip = 1; } optional Place place = 4;`)
	out, errw := generate(t, 0, nil, "--ddl", ddl(t, checkTable), "--check", file)
	want := file + ` fits main.default.air: 3 fields

effect  path        field  column  reason
──────  ──────────  ─────  ──────  ──────────────────────────────────────────────────────────────────────────────────────────────
risky   temp        int64  INT     int64 holds more than INT: values outside of -2147483648 to 2147483647 are refused; make it int32
absent  place.city         STRING  the descriptor has no such field, so the member is NULL in every record
absent  humidity           BIGINT  the descriptor has no such field, so the column is NULL in every record
`
	if diff := cmp.Diff(strings.ReplaceAll(want, "─", ""), strings.ReplaceAll(out, "─", "")); diff != "" || errw != "" {
		t.Errorf("stderr is %q, stdout differs:\n%s", errw, diff)
	}
}

func TestGenerateCheck_WhatIsRefusedIsAnError(t *testing.T) {
	noVariables(t)
	file := air(t, `optional int64 device_name = 1; optional int32 Temp = 2; optional string place = 3;`)
	out, errw := generate(t, 1, nil, "--ddl", ddl(t, checkTable), "--check", file)
	if want := "zerobus: " + file + ": message sensors.Air does not fit main.default.air, no stream would open: device_name, Temp, place\n"; errw != want {
		t.Errorf("stderr is %q, want %q", errw, want)
	}
	for _, want := range []string{
		"\nrefused  device_name  int64   STRING ", "\nrefused  Temp         int32 ", "names match in exact case", "\nabsent   humidity ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("stdout lacks %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "fits") {
		t.Errorf("stdout says that it fits:\n%s", out)
	}

	many := air(t, `optional int32 a = 1; optional int32 b = 2; optional int32 c = 3; optional int32 d = 4; optional int32 e = 5; optional int32 f = 6;`)
	_, errw = generate(t, 1, nil, "--ddl", ddl(t, checkTable), "--check", many)
	if !strings.HasSuffix(errw, ": a, b, c, d, e, and 2 more\n") {
		t.Errorf("stderr is %q", errw)
	}
}

func TestGenerateCheck_JSON(t *testing.T) {
	noVariables(t)
	table := ddl(t, checkTable)
	for _, tt := range []struct {
		fields string
		status int
		want   fitReport
	}{
		{airFields, 0, fitReport{Fields: 4, Fits: true, Findings: []fitFinding{}}},
		{strings.Replace(airFields, "int32 temp", "int64 temp", 1), 0, fitReport{Fields: 4, Fits: true, Findings: []fitFinding{
			{"risky", "temp", "int64", "INT", "int64 holds more than INT: values outside of -2147483648 to 2147483647 are refused; make it int32"},
		}}},
		{"required string device_name = 1; optional int32 temp = 2; optional int64 humidity = 3; optional bytes place = 4;", 1, fitReport{
			Fields: 4, Findings: []fitFinding{
				{"refused", "place", "bytes", "STRUCT<zip: INT, city: STRING>", "bytes does not fit STRUCT<zip: INT, city: STRING>: make it a message"},
			},
		}},
	} {
		file := air(t, tt.fields)
		tt.want.File, tt.want.Message, tt.want.Table = file, "sensors.Air", "main.default.air"
		out, _ := generate(t, tt.status, nil, "--ddl", table, "--check", file, "--json")
		var got fitReport
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Error(diff)
		}
	}
}

// testdata/generate/check/order.pb is what protoc made of order.proto, proto3, which imports money.proto.
func TestGenerateCheck_DescriptorSetOfProtoc(t *testing.T) {
	noVariables(t)
	orders, set := filepath.Join("testdata", "generate", "orders.sql"), filepath.Join("testdata", "generate", "check", "order.pb")
	renamed := writeFile(t, "order", []byte(read(t, set)))
	for _, file := range []string{set, renamed} {
		for _, message := range []string{"Order", "shop.v1.Order"} {
			out, errw := generate(t, 1, nil, "--ddl", orders, "--check", file, "--proto-msg", message)
			if !strings.HasSuffix(errw, ": message shop.v1.Order does not fit main.default.orders, no stream would open: total, Gift, labels\n") {
				t.Errorf("%s %s: stderr is %q", file, message, errw)
			}
			// That it is proto3 is in the set alone.
			if !strings.Contains(out, "a field of proto3 without optional is absent when it is 0") || !strings.Contains(out, "line_items.element.quantity") {
				t.Errorf("%s %s: stdout is\n%s", file, message, out)
			}
		}
	}
	for message, want := range map[string]string{
		"shop.v1.Money": "message shop.v1.Money does not fit", // of a file that is imported
		"Line":          "message shop.v1.Order.Line does not fit",
		"Money":         "there is no message Money, only shop.v1.Empty, shop.v1.Order, shop.v1.Order.Line",
		"shop.v1":       "there is no message shop.v1, only ",
		"":              "there are several messages, choose one with --proto-msg: shop.v1.Empty, shop.v1.Order",
	} {
		if _, errw := generate(t, 1, nil, "--ddl", orders, "--check", set, "--proto-msg", message); !strings.Contains(errw, want) {
			t.Errorf("%q: stderr is %q, want %q", message, errw, want)
		}
	}
}

func TestGenerateCheck_Descriptor(t *testing.T) {
	noVariables(t)
	d := &descriptorpb.DescriptorProto{Name: proto.String("Air"), Field: []*descriptorpb.FieldDescriptorProto{
		{Name: proto.String("device_name"), Number: proto.Int32(9), Type: descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()},
		{Name: proto.String("temp"), Number: proto.Int32(7), Type: descriptorpb.FieldDescriptorProto_TYPE_SINT32.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()},
	}}
	marshal := func() []byte {
		b, err := proto.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	table := ddl(t, checkTable)
	for _, name := range []string{"air.desc", "air.bin", "air.PB", "air"} {
		file := writeFile(t, name, marshal())
		for _, args := range [][]string{nil, {"--proto-msg", "Air"}} {
			out, _ := generate(t, 0, nil, append(args, "--ddl", table, "--check", file)...)
			if want := file + " fits main.default.air: 2 fields\n\n"; !strings.HasPrefix(out, want) {
				t.Errorf("%s: got\n%s", name, out)
			}
		}
		if _, errw := generate(t, 1, nil, "--ddl", table, "--check", file, "--proto-msg", "Water"); !strings.Contains(errw, "there is no message Water, only Air") {
			t.Errorf("%s: stderr is %q", name, errw)
		}
	}
	d.Field[1].Type, d.Field[1].TypeName = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(), proto.String(".sensors.Temp")
	_, errw := generate(t, 1, nil, "--ddl", table, "--check", writeFile(t, "air.desc", marshal()))
	if !strings.Contains(errw, "air.desc: ") || !strings.Contains(errw, ".sensors.Temp") {
		t.Errorf("a descriptor that is not self-contained: %q", errw)
	}
}

func TestGenerateCheck_Files(t *testing.T) {
	noVariables(t)
	table := ddl(t, checkTable)
	set, err := proto.Marshal(&descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{{
		Name: proto.String("a.proto"), Dependency: []string{"b.proto"},
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("A")}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	const neither = "it is neither .proto text nor a serialized FileDescriptorSet or DescriptorProto"
	for _, tt := range []struct{ name, text, want string }{
		{"bad.proto", "syntax = \"proto2\";\nmessage A { optional int32 = 1; }", "bad.proto: line 2, column 28: "},
		{"none.proto", "syntax = \"proto2\";\n", "none.proto: there is no message in it"},
		{"empty.proto", "", "there is no message in it"},
		{"imports.proto", "syntax = \"proto3\";\nimport \"b.proto\";\nmessage A { B b = 1; }", "give a descriptor set made by protoc --include_imports"},
		{"several.proto", "syntax = \"proto2\";\nmessage B { message C {} }\nmessage A {}", "choose one with --proto-msg: A, B"},
		{"same.proto", "syntax = \"proto2\";\nmessage A { optional int32 x = 1; optional int32 x = 2; }", "same.proto: "},
		{"image.png", "\x89PNG\r\n\x1a\n", neither},
		{"image.pb", "syntax = \"proto2\";", neither},
		{"empty.desc", "", neither},
		{"latin1.proto", "// \xe9t\xe9\nsyntax = \"proto2\";", neither},
		{"alone.pb", string(set), `could not resolve import "b.proto": not found: was it made with protoc --include_imports?`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, errw := generate(t, 1, nil, "--ddl", table, "--check", writeFile(t, tt.name, []byte(tt.text)))
			if !strings.Contains(errw, tt.want) || out != "" {
				t.Errorf("got %q and %q, want %q", out, errw, tt.want)
			}
		})
	}
	missing := filepath.Join(t.TempDir(), "none.proto")
	if _, errw := generate(t, 1, nil, "--ddl", table, "--check", missing); !strings.Contains(errw, "open "+missing) {
		t.Errorf("a missing file: %q", errw)
	}
	// Imports whose types are not used, of options mostly, do no harm.
	file := writeFile(t, "options.proto", []byte("syntax = \"proto2\";\nimport \"gogo.proto\";\nmessage A { required string device_name = 1; }"))
	generate(t, 0, nil, "--ddl", table, "--check", file)
}

// Several messages of one short name are told apart by their full names.
func TestGenerateCheck_OneShortNameTwice(t *testing.T) {
	noVariables(t)
	file := writeFile(t, "two.proto", []byte(`syntax = "proto2"; package p;
message A { message Row { optional string device_name = 1; } map<string, int32> m = 1; }
message B { message Row { required string device_name = 1; } }`))
	table := ddl(t, "CREATE TABLE t (device_name STRING)")
	_, errw := generate(t, 1, nil, "--ddl", table, "--check", file, "--proto-msg", "Row")
	if !strings.Contains(errw, "choose one with --proto-msg: p.A.Row, p.B.Row") {
		t.Errorf("stderr is %q", errw)
	}
	generate(t, 0, nil, "--ddl", table, "--check", file, "--proto-msg", "p.B.Row")
	if _, errw := generate(t, 1, nil, "--ddl", table, "--check", file, "--proto-msg", "MEntry"); !strings.Contains(errw, "only p.A, p.A.Row, p.B, p.B.Row") {
		t.Errorf("stderr is %q", errw)
	}
}

// The table comes from any source, and --table from the environment.
func TestGenerateCheck_FromEverySource(t *testing.T) {
	w := newIngestTest(t, "device_name STRING, temp INT", "")
	t.Setenv(workspaceVar, w.srv.WorkspaceURL())
	file := air(t, "optional string device_name = 1; optional int32 temp = 2;")
	dirs, err := filepath.Glob(filepath.Join(w.data, "tables", "main", "default", "events*"))
	if err != nil || len(dirs) != 1 {
		t.Fatalf("the table is in %q, %v", dirs, err)
	}
	for _, source := range [][]string{nil, {"--table", "MAIN.default.Events"}, {"--delta", dirs[0], "--table", "any.thing.here"}} {
		out, _ := generate(t, 0, nil, append(source, "--check", file)...)
		name := os.Getenv(tableVar)
		if len(source) > 0 {
			name = source[len(source)-1]
		}
		if want := fmt.Sprintf("%s fits %s: 2 fields\n", file, name); out != want {
			t.Errorf("%q: got %q, want %q", source, out, want)
		}
	}
}

// On a terminal the table is as wide as the terminal, unless paths are long, and no reason is cut.
func TestGenerateCheck_ATableFitsTheTerminal(t *testing.T) {
	headings := []string{"effect", "path", "field", "column", "reason"}
	reason := "int64 holds more than INT: values outside of -2147483648 to 2147483647 are refused; make it int32"
	rows := func() [][]string {
		return [][]string{
			{"risky", "temp", "int64", "INT", reason},
			{"absent", "place", "", "STRUCT<street: STRING, zip: INT, city: STRING>", ""},
		}
	}
	for _, width := range []int{20, 80, 100, 120, 300} {
		fitted := fitTerminal(headings, rows(), width)
		var b strings.Builder
		printTable(&b, headings, fitted)
		widest := 0
		for line := range strings.Lines(b.String()) {
			widest = max(widest, utf8.RuneCountInString(strings.TrimRight(line, "\n")))
		}
		if least := 6 + 2 + 5 + 2 + 5 + 2 + maxTypeCell + 2 + minReasonCell; widest > max(width, least) {
			t.Errorf("at %d the table is %d wide:\n%s", width, widest, b.String())
		}
		var words []string
		for _, row := range fitted {
			words = append(words, strings.Fields(row[4])...)
		}
		if got := strings.Join(words, " "); got != reason {
			t.Errorf("at %d the reason is %q", width, got)
		}
		if last := fitted[len(fitted)-1]; last[3] != "STRUCT<street: ST…" || last[4] != "" {
			t.Errorf("at %d the last row is %q", width, last)
		}
	}
}
