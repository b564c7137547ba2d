package rest_test

import (
	"fmt"
	"testing"
)

// Unity Catalog's ColumnInfo has partition_index on partition columns alone.
func TestUnity_PartitionIndex(t *testing.T) {
	a := newAPI(t)
	const columns = idColumn + `,{"name":"region","type_text":"string","position":1,"partition_index":1},{"name":"day","type_text":"date","position":2,"partition_index":0}`
	index := func(v map[string]any) (text string) {
		for _, c := range v["columns"].([]any) {
			c := c.(map[string]any)
			text += fmt.Sprint(c["name"], ":", c["partition_index"], " ")
		}
		return text
	}
	const want = "id:<nil> region:1 day:0 "
	if got := index(a.must("POST", "/tables", adminToken, newTable("main.default", "t", columns))); got != want {
		t.Errorf("created: %s", got)
	}
	if got := index(a.must("GET", "/tables/main.default.t", adminToken, "")); got != want {
		t.Errorf("got %s", got)
	}
	list := a.must("GET", "/tables?catalog_name=main&schema_name=default", adminToken, "")["tables"].([]any)
	if got := index(list[0].(map[string]any)); got != want {
		t.Errorf("listed: %s", got)
	}
	a.refused("POST", "/tables", adminToken, newTable("main.default", "u", `{"name":"a","type_text":"int","partition_index":0}`), 400, "INVALID_PARAMETER_VALUE", "every column is a partition column")
	a.refused("POST", "/tables", adminToken, newTable("main.default", "u", idColumn+`,{"name":"a","type_text":"binary","position":1,"partition_index":0}`), 400, "INVALID_PARAMETER_VALUE", "column a of type BINARY cannot be a partition column")
}
