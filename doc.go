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
// The README has a guide, https://github.com/zerobus-go/zerobus#use-the-sdk, and examples/ has programs.
//
// # Open
//
// [New] makes an [SDK] and connects to nothing. One is enough for a program: its streams share tokens and memory.
// [ParseWorkspaceURL] takes both addresses from the URL that a browser shows.
//
// [SDK.CreateStream] opens a [Stream] to a table and returns when the server has accepted it. The table says in which
// encoding records come: [Table] for JSON, [ProtoTable] for protobuf messages. [ClientCredentials] are the usual way to
// authenticate; any other [HeadersProvider] will do, such as [BearerTokens]. It is called for every connection that the
// stream opens.
//
// # Ingest
//
// [Stream.Ingest] copies a record into the stream and returns at once; what has gathered is sent as soon as the
// connection can take it. It waits only when too much is unacknowledged: 50,000 records or 64 MiB, unless set otherwise.
// [Stream.TryIngest] does not wait even then. [Stream.IngestBatch] adds records that stay together.
//
// Every ingest call gets a logical offset: 0, 1, 2, … in the order in which the calls took effect. A batch has one
// offset. Records are sent and acknowledged in the order of their offsets, and reconnecting does not change them.
//
// # Acknowledgements
//
// Whoever must know about a single record keeps the [Ack] that Ingest returns, and calls Wait, watches Done, or registers
// a function with OnDone. [Stream.IngestAndWait] is for few records: every one takes a round trip. [WithAckCallback]
// tells of all, in ranges. Callbacks may be behind a Flush; Close waits for them.
//
// # Flush
//
// [Stream.Flush] waits until all that was ingested before is durable; the stream goes on. [Stream.Close] does that and
// ends the stream. A stream must be closed, and the error of Close says that something was not delivered.
//
// # Errors
//
// Errors are of type [*Error], with the operation, the table and the server's code, and of one or more kinds, such as
// [ErrAuth]. What matters most is whether another try can help:
//
//	switch {
//	case err == nil:
//	case zerobus.IsRetriable(err):
//		// The network or the server. Make a new stream later, with sdk.RecreateStream(ctx, stream).
//	default:
//		// The table, the credentials or a record is wrong. Fix that first.
//	}
//
// # Contexts
//
// A context bounds the wait of the call that it is given to, never the life of a stream or the fate of a record.
// A Close whose context has ended already ends the stream without a flush. So do not defer it with a context that is
// cancelled when the function returns; give Close one of its own:
//
//	defer func() {
//		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
//		defer cancel()
//		err = errors.Join(err, stream.Close(ctx))
//	}()
//
// # Recovery
//
// A stream heals by itself what may pass: it reconnects and sends again what was not acknowledged. So the server may
// get a record twice, unless the stream names its producer, and never loses one. While it recovers, records are accepted and
// kept.
//
// A connection that had brought an acknowledgement is replaced without a wait, unless such connections end as fast as
// they come. Otherwise the wait is [StreamSettings].RecoveryBackoff, 2 s, before the first retry, and doubles with every
// further failure in a row, up to 30 s; up to a quarter is added at random, so that many clients do not come back
// together. A stream may fail as often in a row as [StreamSettings].RecoveryRetries says, 3 times, its creation included;
// an acknowledgement clears the count.
//
// What cannot pass, and what does not pass within these tries, ends the stream. Every record ends in one of two ways:
// acknowledged, or in [Stream.Unacked] after the stream has ended. [SDK.RecreateStream] makes a new stream of what an old
// one has left.
//
// # Exactly once
//
// A stream with [WithProducerID] names the source of its records. A server that keeps positions, such as zerobus serve, then
// takes none of them twice, and [SDK.Resume] tells a program that starts again which record is the next one. Others ignore
// the name; [Stream.Position] tells.
//
// # Refused records
//
// The server refuses a record that does not fit the table, and with it the stream: what came before is acknowledged, the
// record and all after it are in [Stream.Unacked]. With [WithRejectHandler] the stream finds the record, hands it over
// and goes on with the others. This costs connections, so it is for few refused records among many good ones.
//
// # Observation
//
// [Stream.State] and [Stream.StateChanges] tell where a stream is in its life. [WithLogger] logs connections and
// failures, never a secret or a record. [WithHooks] tells of connections, messages and acknowledgements, for metrics.
// Goroutines have labels for profiles.
//
// # Tuning
//
// A stream is never faster than what may be in flight divided by the latency of an acknowledgement, which a hook sees in
// [AckEvent]: 50,000 records and 200 ms are 250,000 records a second. Raise [WithMaxInflightRecords] and
// [WithMaxInflightBytes] where the network is long. Records of more than 1,342 bytes, which is 64 MiB / 50,000, reach the
// limit of bytes first.
//
// Records that are encoded already cost least: [JSONBytes], [JSONString], [ProtoBytes]. IngestBatch spares the cost of a
// call for each record, and sends what belongs together as one message; Ingest needs no help to fill messages.
// [WithMaxBatchRecords] of 1 sends every record as a message of its own, for servers or tests that count messages.
//
// Every stream has a connection of its own, which is best for busy ones; [WithSharedConnection] suits many quiet ones.
// Order is kept within a stream only, so more streams for one table are a way to more speed where order does not matter.
//
// # Testing
//
// Package zerobustest is a server for tests, in the process: it keeps what it is sent, and fails as its script says.
//
// # Concurrency
//
// All methods of all types may be called from any number of goroutines, and from callbacks.
package zerobus
