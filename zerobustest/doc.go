// Package zerobustest is a Zerobus server for tests: it runs inside the test's program, takes any credentials, checks the
// protocol, keeps what it is sent, and misbehaves on request.
//
// [New] starts one. As it comes it acknowledges every record at once, and [Server.Records] tells what it has:
//
//	srv := zerobustest.New()
//	defer srv.Close()
//	sdk, err := zerobus.New(srv.Endpoint(), srv.WorkspaceURL())
//	…
//	got := srv.Records("main.default.air_quality")
//
// # Scripts
//
// A script says what connections do, one behavior each, in the order in which clients open them. It reads like the
// scenario:
//
//	srv.Script(
//		// The service is still starting,
//		zerobustest.Refuse(codes.Unavailable, "starting"),
//		// then acknowledges a half, and goes away,
//		zerobustest.Accept(
//			zerobustest.On(49, zerobustest.Ack(49)),
//			zerobustest.On(99, zerobustest.Wait(time.Second), zerobustest.Fail(codes.Internal, "lost the leader")),
//		),
//		// and is silent when the client comes back.
//		zerobustest.Silent(),
//	)
//
// Connections beyond the script are good again, or what [Server.Otherwise] says. A test that wants to decide as it goes
// takes a connection from [Server.WaitConnection] and calls its methods.
//
// # What is checked
//
// The first request creates the stream; its table is the one of the header, if there is one; its record type is given
// as PROTO with a descriptor, or as JSON, or not at all, which is PROTO. Offsets are 0, 1, 2, … on every connection.
// Records have the stream's type, and a request has at most 10 MiB of them. What breaks a rule ends the connection with
// INVALID_ARGUMENT, as the service does it. Records are not compared with a schema.
//
// # Concurrency
//
// All methods may be called from any goroutine. Time is the time package's, so a server made with [InMemory] within a
// testing/synctest bubble runs on the bubble's clock.
package zerobustest
