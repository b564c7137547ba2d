package admin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/datadir"
	"github.com/zerobus-go/zerobus/server/internal/lake"
	"github.com/zerobus-go/zerobus/server/internal/ledger"
	"github.com/zerobus-go/zerobus/server/internal/table"
	"github.com/zerobus-go/zerobus/server/internal/token"
)

// healthTimeout is how long a server that says it runs may take to answer, before it is taken for dead.
const healthTimeout = 2 * time.Second

// Connect gives the administration of a data directory: that of the running server when there is one, else of this process.
// path is where requests go below the server's URL. release ends the use.
func Connect(ctx context.Context, dir datadir.Dir, path, engine string) (api API, release func() error, err error) {
	// The lock on the catalog says whether a server runs, not server.json: a killed server leaves that behind, and whoever
	// has the port since must not be shown the token.
	cat, err := catalog.Open(dir.Catalog(), catalog.Options{LockTimeout: time.Millisecond})
	if errors.Is(err, catalog.ErrLocked) {
		c, notRunning := running(ctx, dir, path)
		if notRunning == nil {
			return c, func() error { return nil }, nil
		} else if !errors.Is(notRunning, fs.ErrNotExist) && !errors.Is(notRunning, errNotRunning) {
			return nil, nil, notRunning
		}
		cat, err = catalog.Open(dir.Catalog(), catalog.Options{})
	}
	if errors.Is(err, catalog.ErrLocked) {
		return nil, nil, fmt.Errorf("%w: a server is starting or ending, or does not answer: try again, or look at its log", err)
	}
	if err != nil {
		return nil, nil, err
	}
	l, err := lake.NewLocal(dir.Tables())
	if err != nil {
		return nil, nil, errors.Join(err, cat.Close())
	}
	keys := func() (*token.Authority, error) { return token.Open(dir.TokenKeys(), token.Options{}) }
	tables := table.NewTables(l, engine, time.Now)
	tables.OnOptimize(func(ctx context.Context, info catalog.Table, o table.CompactOptions) (table.CompactResult, error) {
		book, err := ledger.Open(dir.Ledger())
		if err != nil {
			return table.CompactResult{}, err
		}
		res, err := tables.OptimizeAlone(ctx, info, book, o)
		return res, errors.Join(err, book.Close())
	})
	return NewLocal(cat, tables, keys, nil), cat.Close, nil
}

// Running tells where the server of a data directory listens. The error is fs.ErrNotExist when none runs: server.json alone
// says nothing, since a server that was killed leaves it behind.
func Running(dir datadir.Dir) (datadir.Running, error) {
	cat, err := catalog.Open(dir.Catalog(), catalog.Options{LockTimeout: time.Millisecond})
	if err == nil {
		return datadir.Running{}, errors.Join(fs.ErrNotExist, cat.Close())
	}
	if !errors.Is(err, catalog.ErrLocked) {
		return datadir.Running{}, err
	}
	return dir.Running()
}

var errNotRunning = errors.New("no server is running")

func running(ctx context.Context, dir datadir.Dir, path string) (*Client, error) {
	r, err := dir.Running()
	if err != nil {
		return nil, err
	}
	token, err := dir.AdminToken()
	if err != nil {
		return nil, err
	}
	hc, err := HTTPClient(r.CA)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.WorkspaceURL+"/health", nil)
	if err != nil {
		return nil, err
	}
	resp, err := hc.Do(req)
	if err != nil {
		return nil, errNotRunning
	}
	resp.Body.Close()
	return NewClient(r.WorkspaceURL+path, token, hc), nil
}

// HTTPClient trusts the certificate authority of a file beside the system's; an empty name means the system's only.
func HTTPClient(caFile string) (*http.Client, error) {
	cfg, err := TLSConfig(caFile)
	if err != nil {
		return nil, err
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = cfg
	t.Proxy = nil // the server of a data directory is on this machine
	return &http.Client{Transport: t}, nil
}

// TLSConfig trusts the certificate authority of a file beside the system's; nil for an empty name.
func TLSConfig(caFile string) (*tls.Config, error) {
	if caFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", caFile)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}
