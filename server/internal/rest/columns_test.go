package rest_test

import (
	"fmt"
	"strings"
	"testing"
)

func TestUnity_TableColumns(t *testing.T) {
	a := newAPI(t)
	for i, c := range []struct{ columns, want string }{
		{idColumn, "id bigint LONG false"},
		{`{"name":"a","type_text":"INT"}`, "a int INT true"},
		{`{"name":"a","type_json":"\"long\""}`, "a bigint LONG true"}, // as Spark sends it
		{`{"name":"a","type_json":"long"}`, "a bigint LONG true"},
		{`{"name":"a","type_json":"{\"name\":\"a\",\"type\":\"timestamp_ntz\",\"nullable\":false,\"metadata\":{\"comment\":\"c\"}}"}`, "a timestamp_ntz TIMESTAMP_NTZ false"},
		{`{"name":"a","type_json":{"name":"a","type":"date","nullable":true,"metadata":{}},"nullable":false}`, "a date DATE false"},
		{`{"name":"a","type_name":"DECIMAL","type_precision":12,"type_scale":3}`, "a decimal(12,3) DECIMAL true"},
		{`{"name":"a","type_name":"decimal"}`, "a decimal(10,0) DECIMAL true"},
		{`{"name":"a","type_name":"BOOLEAN","type_text":"","type_json":""}`, "a boolean BOOLEAN true"},
		{`{"name":"a","type_text":"decimal(5,2)","type_json":"\"decimal(5,2)\"","type_name":"DECIMAL","type_precision":5,"type_scale":2,"comment":"preis"}`, "a decimal(5,2) DECIMAL true"},
		{`{"name":"zwei","type_text":"string","position":1},{"name":"eins","type_text":"string","position":0}`, "eins string STRING true; zwei string STRING true"},
		{`{"name":"zwei","type_text":"string"},{"name":"eins","type_text":"string","position":0}`, "zwei string STRING true; eins string STRING true"},
		{`{"name":"größe_🎈","type_text":"double"}`, "größe_🎈 double DOUBLE true"},
	} {
		name := fmt.Sprintf("t%d", i)
		a.must("POST", "/tables", adminToken, newTable("main.default", name, c.columns))
		var got []string
		for j, e := range a.must("GET", "/tables/main.default."+name, adminToken, "")["columns"].([]any) {
			col := e.(map[string]any)
			got = append(got, fmt.Sprint(col["name"], " ", col["type_text"], " ", col["type_name"], " ", col["nullable"]))
			if col["position"] != float64(j) || !strings.Contains(col["type_json"].(string), `"name":"`+col["name"].(string)) {
				t.Errorf("%s: column %d is %v", c.columns, j, col)
			}
		}
		if s := strings.Join(got, "; "); s != c.want {
			t.Errorf("%s: %s, want %s", c.columns, s, c.want)
		}
	}
	list := a.must("GET", "/tables?catalog_name=main&schema_name=default&omit_columns=true&max_results=1", adminToken, "")
	if cols := list["tables"].([]any)[0].(map[string]any)["columns"].([]any); len(cols) != 0 {
		t.Errorf("omitted columns are %v", cols)
	}
}

func TestUnity_TablesThatCannotBe(t *testing.T) {
	a := newAPI(t)
	for columns, words := range map[string]string{
		``:                                         "columns is missing",
		`{"type_text":"int"}`:                      "empty names",
		`{"name":"a"}`:                             "send type_json or type_text",
		`{"name":"a","type_name":"ARRAY"}`:         "",
		`{"name":"a","type_name":"INTERVAL"}`:      "INTERVAL",
		`{"name":"a","type_text":"money"}`:         "money",
		`{"name":"a","type_text":"decimal(39,0)"}`: "precision",
		`{"name":"a","type_json":"{\"name\":"}`:    "type_json",
		`{"name":"a","type_json":"no\"se\"nse"}`:   "type_json",
		`{"name":"a","type_json":7}`:               "type_json",
		`{"name":"a","type_json":"{\"name\":\"b\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}}"}`:     "of a column b",
		`{"name":"a","type_json":"\"long\"","type_text":"string"}`:                                            "type_json says bigint, type_text says string",
		`{"name":"a","type_text":"int"},{"name":"A","type_text":"int"}`:                                       "differ only in case",
		`{"name":"a b","type_text":"int"}`:                                                                    "not allowed",
		`{"name":"a","type_text":"int","position":0},{"name":"b","type_text":"int","position":0}`:             "one position",
		`{"name":"a","type_text":"` + strings.Repeat("array<", 200) + "int" + strings.Repeat(">", 200) + `"}`: "",
		strings.TrimSuffix(strings.Repeat(`{"name":"a","type_text":"int"},`, 2001), ","):                      "2000",
	} {
		a.refused("POST", "/tables", adminToken, newTable("main.default", "t", columns), 400, "INVALID_PARAMETER_VALUE", words)
	}
	good := newTable("main.default", "t", idColumn)
	with := func(field, value string) string { return strings.Replace(good, "{", `{"`+field+`":`+value+",", 1) }
	for body, words := range map[string]string{
		strings.Replace(good, "MANAGED", "EXTERNAL", 1):                                  "storage_location is missing",
		strings.Replace(good, "MANAGED", "VIEW", 1):                                      "VIEW",
		strings.Replace(good, `"table_type":"MANAGED",`, "", 1):                          "table_type is missing",
		strings.Replace(good, `"catalog_name":"main",`, "", 1):                           "catalog_name is missing",
		strings.Replace(good, "DELTA", "PARQUET", 1):                                     "PARQUET",
		with("storage_location", `"s3://bucket/x"`):                                      "storage_location",
		with("storage_location", `"file:///etc"`):                                        "storage_location",
		with("storage_location", `"../../x"`):                                            "storage_location",
		with("view_definition", `"SELECT 1"`):                                            "MANAGED",
		with("properties", `{"delta.enableDeletionVectors":"true"}`):                     "delta.enableDeletionVectors",
		with("comment", `"`+strings.Repeat("x", 5000)+`"`):                               "comment",
		strings.Replace(good, `"schema_name":"default"`, `"schema_name":"default.t"`, 1): "",
	} {
		a.refused("POST", "/tables", adminToken, body, 400, "INVALID_PARAMETER_VALUE", words)
	}
	a.refused("POST", "/tables", adminToken, newTable("main.none", "t", idColumn), 404, "SCHEMA_NOT_FOUND")
	if got := names(a.must("GET", "/tables?catalog_name=main&schema_name=default", adminToken, ""), "tables", "name"); got != "" {
		t.Errorf("there are %s", got)
	}
}

// The widest table that there may be, with all that clients send for a column, is within the bound on bodies.
func TestUnity_TableOf2000Columns(t *testing.T) {
	a := newAPI(t)
	cols := make([]string, 2000)
	for i := range cols {
		n := fmt.Sprintf("column_%s_%d", strings.Repeat("x", 100), i)
		cols[i] = fmt.Sprintf(`{"name":%q,"type_text":"string","type_name":"STRING","type_json":"{\"name\":\"%s\",\"type\":\"string\",\"nullable\":true,\"metadata\":{}}","position":%d,"comment":%q}`, n, n, i, strings.Repeat("c", 200))
	}
	v := a.must("POST", "/tables", adminToken, newTable("main.default", "wide", strings.Join(cols, ",")))
	if n := len(v["columns"].([]any)); n != 2000 {
		t.Errorf("%d columns", n)
	}
}
