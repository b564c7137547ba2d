package main

import "google.golang.org/protobuf/encoding/protowire"

// Rows of the shapes of zerobus bench, as one writes them for parquet-go.
type (
	smallRow struct {
		Device   string `parquet:"device_name,dict"`
		Temp     int32  `parquet:"temp"`
		Humidity int64  `parquet:"humidity"`
	}
	kilobyteRow struct {
		ID   int64  `parquet:"id"`
		Body string `parquet:"body"`
	}
)

func decodeSmall(record []byte, row *smallRow) error {
	return eachField(record, func(number protowire.Number, v uint64, text []byte) {
		switch number {
		case 1:
			row.Device = string(text)
		case 2:
			row.Temp = int32(v)
		case 3:
			row.Humidity = int64(v)
		}
	})
}

func decodeKilobyte(record []byte, row *kilobyteRow) error {
	return eachField(record, func(number protowire.Number, v uint64, text []byte) {
		switch number {
		case 1:
			row.ID = int64(v)
		case 2:
			row.Body = string(text)
		}
	})
}

// eachField calls f for each field of a record that has varints and texts only. It does not check UTF-8.
func eachField(record []byte, f func(number protowire.Number, v uint64, text []byte)) error {
	for len(record) > 0 {
		number, kind, n := protowire.ConsumeTag(record)
		if n < 0 {
			return errWire
		}
		record = record[n:]
		var v uint64
		var text []byte
		switch kind {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(record)
		case protowire.BytesType:
			text, n = protowire.ConsumeBytes(record)
		default:
			return errWire
		}
		if n < 0 {
			return errWire
		}
		f(number, v, text)
		record = record[n:]
	}
	return nil
}
