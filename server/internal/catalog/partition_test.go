package catalog

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/zerobus-go/zerobus/schema"
)

func TestExec_PartitionedTable(t *testing.T) {
	e, l := engine(t)
	run(t, e, "CREATE TABLE main.default.t (id BIGINT, Day DATE NOT NULL COMMENT 'when', region STRING) PARTITIONED BY (DAY, region)")
	if d := cmp.Diff([]string{"Day", "region"}, l.logs["main/default/t"].PartitionBy); d != "" {
		t.Error(d)
	}
	const ddl = "CREATE TABLE main.default.t (\n  id BIGINT,\n  Day DATE NOT NULL COMMENT 'when',\n  region STRING\n)\nUSING DELTA\nPARTITIONED BY (Day, region)"
	describe := []string{
		"id|bigint|true|", "Day|date|false|when", "region|string|true|",
		"|||", "# Partition Information|||", "Day|date|false|when", "region|string|true|",
	}
	if d := cmp.Diff([]string{ddl}, rows(t, e, "SHOW CREATE TABLE main.default.t")); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(describe, rows(t, e, "DESCRIBE main.default.t")); d != "" {
		t.Error(d)
	}
	if got := rows(t, e, "DESCRIBE EXTENDED main.default.t"); len(got) < len(describe)+3 || cmp.Diff(append(describe, "|||", "# Table|||"), got[:len(describe)+2]) != "" {
		t.Errorf("got %q", got)
	}
	run(t, e, "DROP TABLE main.default.t; "+ddl)
	if d := cmp.Diff([]string{ddl}, rows(t, e, "SHOW CREATE TABLE main.default.t")); d != "" {
		t.Error(d)
	}
}

// What the parser of CREATE TABLE finds, and what comes by REST, which has no statement.
func TestCreateTable_RefusesPartitionColumns(t *testing.T) {
	e, l := engine(t)
	fields := []schema.Field{
		{Name: "a", Type: schema.Type{Kind: schema.Long}, Nullable: true},
		{Name: "b", Type: schema.Type{Kind: schema.Binary}, Nullable: true},
	}
	for by, want := range map[string]string{
		"b":   "column b of type BINARY cannot be a partition column",
		"a,b": "column b of type BINARY cannot be a partition column",
		"c":   "partition column c is not a column of the table",
		"a,a": "partition column a is given twice",
	} {
		_, err := e.CreateTable(t.Context(), &schema.CreateTable{
			Name: []string{"main", "default", "t"}, Columns: schema.Struct{Fields: fields}, PartitionBy: strings.Split(by, ","),
		}, "")
		fails(t, err, ErrInvalid, want)
	}
	_, err := e.CreateTable(t.Context(), &schema.CreateTable{
		Name: []string{"main", "default", "t"}, Columns: schema.Struct{Fields: fields[:1]}, PartitionBy: []string{"a"},
	}, "")
	fails(t, err, ErrInvalid, "every column is a partition column")
	_, err = e.Exec(t.Context(), "CREATE TABLE main.default.t (a INT) PARTITIONED BY (a)")
	fails(t, err, ErrInvalid, "line 1 column 1: every column is a partition column")
	_, err = e.Exec(t.Context(), "CREATE TABLE main.default.t (a INT, b INT) CLUSTER BY (a)")
	fails(t, err, ErrInvalid, `unexpected "CLUSTER"`)
	if got := l.locations(); got != "" {
		t.Errorf("the lake has %s", got)
	}
}
