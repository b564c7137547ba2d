// Command headers sends 100 JSON records to the table main.default.air_quality with a headers provider of its own: it keeps a
// token as a token manager would, and adds a header that names the connection in the logs of a gateway between.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/examples/airquality"
)

const records = 100

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// manager is a HeadersProvider: it gives the headers of every connection, the first one and those of recovery. This one
// is for streams of one table, since a token is for one table.
type manager struct {
	credentials zerobus.ClientCredentials

	mu      sync.Mutex // guards the following
	token   zerobus.Token
	expires time.Time
	calls   int
}

// Headers gives the token that it keeps while that has a minute left, and requests another one otherwise. An error counts
// as a failure to connect: the stream tries again, unless the error says that it is of no use.
func (m *manager) Headers(ctx context.Context) ([]zerobus.Header, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	if time.Until(m.expires) < time.Minute {
		target, ok := zerobus.TargetFrom(ctx)
		if !ok {
			return nil, errors.New("the context does not tell which stream it is for")
		}
		asked := time.Now()
		token, err := zerobus.FetchToken(ctx, zerobus.OAuthConfig{
			WorkspaceURL: target.WorkspaceURL,
			WorkspaceID:  target.WorkspaceID,
			Table:        target.Table,
			Credentials:  m.credentials,
		})
		if err != nil {
			return nil, err
		}
		m.token, m.expires = token, asked.Add(token.ExpiresIn)
	}
	return []zerobus.Header{
		{Name: "authorization", Value: "Bearer " + m.token.Access},
		{Name: "x-request-id", Value: rand.Text()},
		// x-databricks-zerobus-table-name is filled in.
	}, nil
}

func run(ctx context.Context) (err error) {
	env, err := airquality.FromEnv()
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil)) // no token and no secret is logged
	sdk, err := zerobus.New(env.ServerEndpoint, env.WorkspaceURL, zerobus.WithLogger(logger))
	if err != nil {
		return err
	}
	defer sdk.Close()
	m := &manager{credentials: env.Credentials}
	stream, err := sdk.CreateStream(ctx, zerobus.Table(env.Table), m)
	if err != nil {
		return err
	}
	// Close flushes; its error counts like any other.
	defer func() { err = errors.Join(err, stream.Close(ctx)) }()

	start := time.Now()
	for i := range records {
		if _, err := stream.Ingest(ctx, zerobus.JSON(map[string]any{
			"device_name": fmt.Sprintf("sensor-%d", i%10), "temp": 20 + i%15, "humidity": 50 + i%40,
		})); err != nil {
			return err
		}
	}
	if err := stream.Flush(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	fmt.Printf("%d records in %s, headers were given %d time(s)\n", records, time.Since(start).Round(time.Millisecond), m.calls)
	return nil
}
