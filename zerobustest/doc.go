// Package zerobustest is a Zerobus server for tests: it runs inside the test's program, checks the protocol, keeps what
// it is sent, and misbehaves on request.
//
// [New] starts one. As it comes it takes any credentials and acknowledges every record at once, and [Server.Records]
// tells what it has:
//
//	func TestPipeline(t *testing.T) {
//		srv := zerobustest.New()
//		defer srv.Close()
//		ingest(t, srv)
//		if got := srv.Records("main.default.events"); len(got) != 100 {
//			t.Errorf("%d records arrived\n%s", len(got), srv.Log())
//		}
//	}
//
//	// ingest stands for the code under test.
//	func ingest(t *testing.T, srv *zerobustest.Server) {
//		sdk, err := zerobus.New(srv.Endpoint(), srv.WorkspaceURL())
//		if err != nil {
//			t.Fatal(err)
//		}
//		defer sdk.Close()
//		stream, err := sdk.CreateStream(t.Context(), zerobus.Table("main.default.events"),
//			zerobus.ClientCredentials{ID: "id", Secret: "secret"}, zerobus.WithRecoveryBackoff(time.Millisecond))
//		if err != nil {
//			t.Fatal(err)
//		}
//		for range 100 {
//			if _, err := stream.Ingest(t.Context(), zerobus.JSONString(`{"n":1}`)); err != nil {
//				t.Fatal(err)
//			}
//		}
//		if err := stream.Close(t.Context()); err != nil {
//			t.Fatal(err)
//		}
//	}
//
// One more line is a day on which the service restarts in the middle of a stream:
//
//	func TestPipelineSurvivesARestart(t *testing.T) {
//		srv := zerobustest.New()
//		defer srv.Close()
//		srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Fail(codes.Unavailable, "restarting"))))
//		ingest(t, srv)
//		if n := len(srv.Records("main.default.events")); n != 100 || len(srv.Connections()) != 2 {
//			t.Errorf("%d records arrived\n%s", n, srv.Log())
//		}
//	}
//
// When a test fails, [Server.Log] has a line for each connection, with what it saw and how it ended.
//
// # Scripts
//
// A script says what connections do, one [Behavior] each, in the order in which clients open them. It reads like the
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
// Offsets count requests, and the SDK puts into one what has gathered: with WithMaxBatchRecords(1) a record is a
// request. Connections beyond the script are good again, or what [Server.Otherwise] says. A test that wants to decide as
// it goes takes a connection from [Server.WaitConnection] and calls its methods.
//
// [Server.GoAway] is what a server does that shuts down in peace: HTTP/2's GOAWAY on all TCP connections. Their streams
// go on, new ones come on new connections.
//
// # Producers
//
// The server keeps the position of every client that names itself, see zerobus.WithProducerID, takes no record of it twice,
// and has a new connection take over from the one before: that ends with ABORTED, and what it had received and the script has
// not made durable is as if it had never come. [Server.Position] tells how far a producer is, [Server.ForgetProducer] is what
// time does. Nothing is different for clients without a name.
//
// An acknowledgement that is lost is a script of two actions, and the record is there once:
//
//	srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Commit(0), zerobustest.Kill())))
//
// [WithoutProducers] makes a server that ignores the name, as Databricks' service does: what was durable and not acknowledged
// arrives twice. A program that is meant for both should be tested with both. [IgnoreProducer] does it to one connection.
//
// # What is checked
//
// The first request creates the stream; its table is the one of the header, if there is one; its record type is given
// as PROTO with a descriptor, or as JSON, or not at all, which is PROTO. Offsets are 0, 1, 2, … on every connection.
// Records have the stream's type, and a request has at most 10 MiB of them. A request says what number its first record has
// only on the connection of a producer that was told its position, and never goes back. What breaks a rule ends the connection with
// INVALID_ARGUMENT, as the service does it.
//
// Records are not compared with a schema. [Server.Validate] sets a function that says which records a table takes; one
// that it refuses ends the stream in the service's way, after what came before it is durable and acknowledged.
//
// Credentials are checked with the option [Authentic]: a stream then needs a token of the token endpoint, for its table,
// that has not expired. [Server.TokenLifetime], [Server.RevokeTokens], [Server.AcceptOnly] and [Server.RefuseTokens]
// make that interesting.
//
// # Concurrency
//
// All methods may be called from any goroutine, and after Close. Time is the time package's, so a server made with
// [InMemory] within a testing/synctest bubble runs on the bubble's clock.
package zerobustest
