package schema

import (
	"reflect"
	"strings"
	"testing"
)

// plain is the type as its text has it: all members of structs nullable and without comments.
func plain(t Type) Type {
	if t.Elem != nil {
		t.Elem, t.ElemNullable = ptr(plain(*t.Elem)), true
	}
	if t.Key != nil {
		t.Key = ptr(plain(*t.Key))
	}
	fields := t.Fields
	t.Fields = nil
	for _, f := range fields {
		t.Fields = append(t.Fields, Field{Name: f.Name, Type: plain(f.Type), Nullable: true})
	}
	return t
}

// checkForms checks that a type that was parsed survives every form.
func checkForms(t *testing.T, typ Type) {
	t.Helper()
	if back, err := ParseType(typ.DDL()); err != nil || !reflect.DeepEqual(back, typ) {
		t.Fatalf("DDL %s became %+v, %v", typ.DDL(), back, err)
	}
	if back, err := ParseType(typ.String()); err != nil || !reflect.DeepEqual(back, plain(typ)) {
		t.Fatalf("text %s became %+v, %v", typ, back, err)
	}
	f := col("a", typ)
	b, err := f.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var back Field
	if err := back.UnmarshalJSON(b); err != nil || !reflect.DeepEqual(back, f) {
		t.Fatalf("JSON %s became %+v, %v", b, back, err)
	}
}

func FuzzParseType(f *testing.F) {
	for _, c := range forms {
		f.Add(c.text)
		f.Add(c.ddl)
	}
	f.Add("struct<a: varchar(3) not null comment 'x', `b``c`: map<char(1), struct<>>>")
	f.Fuzz(func(t *testing.T, text string) {
		if typ, err := ParseType(text); err == nil {
			checkForms(t, typ)
		}
	})
}

func FuzzParseCreateTable(f *testing.F) {
	f.Add(everything)
	f.Add(strings.ReplaceAll(everything, "`y z`", "yz"))
	f.Add("CREATE TABLE main.default.air_quality (device_name STRING, temp INT, humidity BIGINT) USING DELTA;")
	f.Add("create table t (a int not null comment 'x', b array<varchar(3)>) tblproperties (a.b 1) comment \"\\n\\0\" partitioned by (a)")
	f.Add("CREATE TABLE t USING DELTA LOCATION '/data/it\\'s\\\\t' COMMENT 'x'")
	f.Fuzz(func(t *testing.T, sql string) {
		c, err := ParseCreateTable(sql)
		if err != nil {
			return
		}
		back, err := ParseCreateTable(c.DDL())
		if err != nil || !reflect.DeepEqual(back, c) {
			t.Fatalf("%s\nbecame %+v, %v", c.DDL(), back, err)
		}
		if len(c.Columns.Fields) == 0 {
			return // those of the table at the location
		}
		b, err := c.Columns.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var columns Struct
		if err := columns.UnmarshalJSON(b); err != nil || !reflect.DeepEqual(columns, c.Columns) {
			t.Fatalf("%s\nbecame %+v, %v", b, columns, err)
		}
	})
}

// FuzzSchemaString: what is read is written so that it reads the same, and a valid schema has a DDL.
func FuzzSchemaString(f *testing.F) {
	f.Add(golden)
	for _, c := range forms {
		f.Add(`{"type":"struct","fields":[{"name":"a","type":` + c.json + `,"nullable":true,"metadata":{}}]}`)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var s Struct
		if s.UnmarshalJSON([]byte(text)) != nil {
			return
		}
		b, err := s.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var second Struct
		if err := second.UnmarshalJSON(b); err != nil {
			t.Fatalf("%s cannot be read again: %v", b, err)
		}
		b2, err := second.MarshalJSON()
		if err != nil || string(b2) != string(b) {
			t.Fatalf("%s\nbecame %s, %v", b, b2, err)
		}
		if s.Validate() != nil {
			return
		}
		for _, f := range s.Fields {
			if back, err := ParseType(f.Type.String()); err != nil || !reflect.DeepEqual(back, plain(f.Type)) {
				t.Fatalf("text %s became %+v, %v", f.Type, back, err)
			}
		}
	})
}
