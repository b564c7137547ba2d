package gateway

import (
	"testing"

	"github.com/zerobus-go/zerobus/internal/wire"
	"google.golang.org/grpc/codes"
)

// PROTOCOL.md, "Partition Value Serialization": an empty text is null. Where the column is NOT NULL it is refused before it is durable;
// so are years that some readers cannot read.
func TestPartition_WhatCannotBeAValueIsRefused(t *testing.T) {
	inBubble(t, Options{}, func(d *door) {
		d.sql("DROP TABLE " + tableName + "; CREATE TABLE " + tableName + " (id BIGINT, a STRING NOT NULL, b STRING, c STRING NOT NULL) PARTITIONED BY (a, b);" +
			"GRANT SELECT, MODIFY ON TABLE " + tableName + " TO `writer`")
		c := d.open(many)
		c.ingest(0, wire.JSON, `{"id":1,"a":"x","b":"","c":""}`, `{"id":2,"a":" ","c":"y"}`)
		c.acked(0)
		c.ingest(1, wire.JSON, `{"id":3,"a":"x","c":""}`, `{"id":4,"a":"","c":"y"}`)
		c.endsAt(-1, codes.InvalidArgument, "field a: an empty text is NULL in a partition column, and the column is NOT NULL (table "+tableName+", offset 1, record 1 of the batch)")
		c = d.open(many)
		c.ingest(0, wire.JSON, `{"id":5,"b":"x","c":""}`)
		c.endsAt(-1, codes.InvalidArgument, "field a: no value")
		d.sql("DROP TABLE " + tableName + "; CREATE TABLE " + tableName + " (id BIGINT, at TIMESTAMP) PARTITIONED BY (at);" +
			"GRANT SELECT, MODIFY ON TABLE " + tableName + " TO `writer`")
		c = d.open(many)
		c.ingest(0, wire.JSON, `{"id":1,"at":1700000000000000000}`) // nanoseconds
		c.endsAt(-1, codes.InvalidArgument, "field at: years outside of 1 to 9999 cannot be in a partition column (table "+tableName+", offset 0)")
		d.wantRows(2)
	})
}
