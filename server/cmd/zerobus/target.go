package main

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/server/internal/admin"
	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/datadir"
)

// target is the table to load and how to reach it.
type target struct {
	table     string
	endpoint  string
	workspace string
	data      string // directory of the server, if that is how it was found
	creds     zerobus.ClientCredentials
	tls       *tls.Config // nil for the system's roots
	http      *http.Client
}

// targetFlags are the flags that make a target. What is empty comes from the environment.
type targetFlags struct {
	table, endpoint, workspace, id, secret, ca string

	data    string
	useData bool // the data directory was named
}

// The variables are those of the SDK's examples.
const (
	tableVar     = "ZEROBUS_TABLE_NAME"
	endpointVar  = "ZEROBUS_SERVER_ENDPOINT"
	workspaceVar = "DATABRICKS_WORKSPACE_URL"
	idVar        = "DATABRICKS_CLIENT_ID"
	secretVar    = "DATABRICKS_CLIENT_SECRET"
)

// target looks at flags, then the environment, then the server of the data directory. A data directory that was named comes
// before the environment.
func (f targetFlags) target() (*target, error) {
	t := &target{
		table:    cmp.Or(f.table, os.Getenv(tableVar)),
		endpoint: f.endpoint, workspace: f.workspace,
		creds: zerobus.ClientCredentials{ID: cmp.Or(f.id, os.Getenv(idVar)), Secret: cmp.Or(f.secret, os.Getenv(secretVar))},
	}
	if !f.useData || f.endpoint != "" || f.workspace != "" {
		t.endpoint, t.workspace = cmp.Or(f.endpoint, os.Getenv(endpointVar)), cmp.Or(f.workspace, os.Getenv(workspaceVar))
	}
	ca, hint := f.ca, ""
	if t.endpoint == "" && t.workspace == "" {
		r, err := running(f.data)
		if errors.Is(err, fs.ErrNotExist) {
			hint = fmt.Sprintf(" (no server of %s is running: zerobus serve --data %[1]s runs one)", f.data)
		} else if err != nil {
			return nil, err
		}
		if err == nil {
			t.data = f.data
		}
		t.endpoint, t.workspace, ca = r.GRPCEndpoint, r.WorkspaceURL, cmp.Or(ca, r.CA)
	}
	var missing []string
	for _, v := range []struct{ value, flag, env string }{
		{t.table, "--table", tableVar},
		{t.endpoint, "--server-endpoint", endpointVar},
		{t.workspace, "--workspace-url", workspaceVar},
		{t.creds.ID, "--client-id", idVar},
		{t.creds.Secret, "--client-secret", secretVar},
	} {
		if v.value == "" {
			missing = append(missing, v.flag+" or "+v.env)
		}
	}
	if len(missing) > 0 {
		return nil, &usageError{"missing: " + strings.Join(missing, ", ") + hint}
	}
	if _, err := catalog.ParseTableName(t.table); err != nil {
		return nil, &usageError{fmt.Sprintf("--table %s: %v", t.table, err)}
	}
	var err error
	if t.tls, err = admin.TLSConfig(ca); err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = t.tls.Clone()
	t.http = &http.Client{Transport: transport}
	return t, nil
}

// running asks a data directory for its server, and does not make the directory.
func running(data string) (datadir.Running, error) {
	dir, err := datadir.Existing(data)
	if err != nil {
		return datadir.Running{}, errors.Join(fs.ErrNotExist, err)
	}
	return admin.Running(dir)
}

// connect makes the SDK. The caller closes it, and the HTTP client's idle connections.
func (t *target) connect(more ...zerobus.Option) (*zerobus.SDK, error) {
	opts := append([]zerobus.Option{zerobus.WithHTTPClient(t.http), zerobus.WithUserAgent("zerobus-ingest")}, more...)
	if t.tls != nil && !strings.HasPrefix(t.endpoint, "http://") {
		opts = append(opts, zerobus.WithTLSConfig(t.tls))
	}
	if isLoopback(t.endpoint) {
		opts = append(opts, zerobus.WithoutProxy()) // which the SDK would use for any host that no_proxy does not name
	}
	sdk, err := zerobus.New(t.endpoint, t.workspace, opts...)
	if err != nil {
		return nil, &usageError{plainText(err)}
	}
	return sdk, nil
}

// isLoopback reports whether an endpoint, with or without a scheme, is on this machine.
func isLoopback(endpoint string) bool {
	if !strings.Contains(endpoint, "://") {
		endpoint = "https://" + endpoint
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return strings.EqualFold(u.Hostname(), "localhost") || ip != nil && ip.IsLoopback()
}
