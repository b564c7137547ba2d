package zerobustest_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/zerobustest"
)

// What follows is in doc.go, word for word.

func TestPipeline(t *testing.T) {
	srv := zerobustest.New()
	defer srv.Close()
	ingest(t, srv)
	if got := srv.Records("main.default.events"); len(got) != 100 {
		t.Errorf("%d records arrived\n%s", len(got), srv.Log())
	}
}

// ingest stands for the code under test.
func ingest(t *testing.T, srv *zerobustest.Server) {
	sdk, err := zerobus.New(srv.Endpoint(), srv.WorkspaceURL())
	if err != nil {
		t.Fatal(err)
	}
	defer sdk.Close()
	stream, err := sdk.CreateStream(t.Context(), zerobus.Table("main.default.events"),
		zerobus.ClientCredentials{ID: "id", Secret: "secret"}, zerobus.WithRecoveryBackoff(time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if _, err := stream.Ingest(t.Context(), zerobus.JSONString(`{"n":1}`)); err != nil {
			t.Fatal(err)
		}
	}
	if err := stream.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestPipelineSurvivesARestart(t *testing.T) {
	srv := zerobustest.New()
	defer srv.Close()
	srv.Script(zerobustest.Accept(zerobustest.On(0, zerobustest.Fail(codes.Unavailable, "restarting"))))
	ingest(t, srv)
	if n := len(srv.Records("main.default.events")); n != 100 || len(srv.Connections()) != 2 {
		t.Errorf("%d records arrived\n%s", n, srv.Log())
	}
}

// The code in the package's doc is the code above.
func TestTheDocIsWhatRuns(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	here, err := os.ReadFile("pipeline_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	for line := range strings.Lines(string(doc)) {
		if c, ok := strings.CutPrefix(line, "//\t"); ok {
			code.WriteString(c)
		} else if line == "//\n" {
			code.WriteByte('\n')
		}
	}
	found := 0
	for _, function := range strings.Split("\n"+code.String(), "\nfunc ")[1:] {
		body, _, _ := strings.Cut(function, "\n}\n")
		if !strings.Contains(string(here), "\nfunc "+body+"\n}\n") {
			t.Errorf("the doc's func %s\nis not in pipeline_test.go", body)
		}
		found++
	}
	if found != 3 {
		t.Errorf("the doc has %d functions", found)
	}
}
