// Package zerobus streams records into tables over the Zerobus protocol, and tells when they are durable.
//
//	sdk, err := zerobus.New(serverEndpoint, workspaceURL)
//	if err != nil { … }
//	defer sdk.Close()
//
//	stream, err := sdk.CreateStream(ctx,
//		zerobus.Table("main.default.air_quality"),
//		zerobus.ClientCredentials{ID: id, Secret: secret})
//	if err != nil { … }
//	defer stream.Close(ctx)
//
//	for _, r := range readings {
//		if _, err := stream.Ingest(ctx, zerobus.JSON(r)); err != nil { … }
//	}
//	err = stream.Flush(ctx)
//
// # Ingest, then Flush
//
// Ingest copies a record into the stream and returns at once; what has gathered is sent as soon as the connection can
// take it. Flush waits until all that was ingested before is durable. Whoever must know about a single record keeps the
// [Ack] that Ingest returns, and calls Wait or watches Done. [WithAckCallback] tells of all.
//
// Ingest waits only when too much is unacknowledged: 50,000 records or 64 MiB, unless set otherwise.
//
// # Offsets
//
// Every ingest call gets a logical offset: 0, 1, 2, … in the order in which the calls took effect. A batch has one
// offset. Records are sent and acknowledged in the order of their offsets, and reconnecting does not change them.
//
// # Failures
//
// A stream heals by itself what may pass: it reconnects and sends again what was not acknowledged. So the server may
// get a record twice, and never loses one. What cannot pass, and what does not pass within
// [StreamSettings].RecoveryRetries, ends the stream:
//
//	switch {
//	case err == nil:
//	case zerobus.IsRetriable(err):
//		// The network or the server. Make a new stream later, and ingest stream.Unacked() into it.
//	default:
//		// The table, the credentials or a record is wrong. Fix that first.
//	}
//
// Every record ends in one of two ways: acknowledged, or in [Stream.Unacked] after the stream has ended.
//
// # Contexts
//
// A context bounds the wait of the call that it is given to, never the life of a stream or the fate of a record.
// A Close whose context has ended already ends the stream without a flush. So do not defer it with a context that is
// cancelled when the function returns; give Close one of its own.
//
// # Concurrency
//
// All methods of all types may be called from any number of goroutines, and from callbacks.
package zerobus
