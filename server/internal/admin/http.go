package admin

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/catalog"
)

// The wire form: POST <prefix><operation> with a JSON request, answered by 200 and the result, or another status and
// {"error": "…", "results": …}.

type request struct {
	Script    string `json:"script,omitempty"`
	Principal string `json:"principal,omitempty"`
	Table     string `json:"table,omitempty"`
	Limit     int    `json:"limit,omitempty"`
	Revoke    bool   `json:"revoke,omitempty"`

	Retain *time.Duration `json:"retain_ns,omitempty"`
	Force  bool           `json:"force,omitempty"`
	DryRun bool           `json:"dry_run,omitempty"`
	Quick  bool           `json:"quick,omitempty"`

	Target   int64 `json:"target_bytes,omitempty"`
	MinFiles int   `json:"min_files,omitempty"`
}

type failure struct {
	Error   string           `json:"error"`
	Results []catalog.Result `json:"results,omitempty"` // of the statements before the one that failed
}

// maxAnswer bounds what a client reads, in bytes.
const maxAnswer = 256 << 20

// Handler answers the requests of clients that know the token, below prefix.
func Handler(api API, prefix, token string, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	// read gives the request; false: it is answered.
	read := func(w http.ResponseWriter, hr *http.Request) (r request, ok bool) {
		if err := json.NewDecoder(hr.Body).Decode(&r); err != nil {
			code, msg := http.StatusBadRequest, "the request is not the JSON that it should be"
			if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
				code, msg = http.StatusRequestEntityTooLarge, fmt.Sprintf("the request is larger than the limit of %d bytes", large.Limit)
			}
			answer(w, code, failure{Error: msg})
			return r, false
		}
		return r, true
	}
	handle := func(op string, f func(ctx context.Context, r request) (any, error)) {
		mux.HandleFunc("POST "+prefix+op, func(w http.ResponseWriter, hr *http.Request) {
			r, ok := read(w, hr)
			if !ok {
				return
			}
			v, err := f(hr.Context(), r)
			if err != nil {
				log.Info("administration refused", "operation", op, "err", err)
				results, _ := v.([]catalog.Result)
				answer(w, statusOf(err), failure{Error: err.Error(), Results: results})
				return
			}
			answer(w, http.StatusOK, v)
		})
	}
	handle("sql", func(ctx context.Context, r request) (any, error) { return api.SQL(ctx, r.Script) })
	handle("principal/create", func(ctx context.Context, r request) (any, error) { return api.CreatePrincipal(ctx, r.Principal) })
	handle("principal/rotate", func(ctx context.Context, r request) (any, error) { return api.RotatePrincipal(ctx, r.Principal) })
	handle("principal/delete", func(ctx context.Context, r request) (any, error) { return api.DeletePrincipal(ctx, r.Principal) })
	handle("principal/list", func(ctx context.Context, r request) (any, error) { return api.Principals(ctx) })
	handle("token-keys/rotate", func(ctx context.Context, r request) (any, error) {
		k, err := api.RotateKeys(ctx, r.Revoke)
		if err == nil {
			log.Info("token key rotated", "kid", k.ID, "revoked", k.Revoked)
		}
		return k, err
	})
	handle("table/list", func(ctx context.Context, r request) (any, error) { return api.Tables(ctx) })
	handle("table/describe", func(ctx context.Context, r request) (any, error) { return api.Describe(ctx, r.Table) })
	handle("table/head", func(ctx context.Context, r request) (any, error) { return api.Head(ctx, r.Table, r.Limit) })
	handle("table/history", func(ctx context.Context, r request) (any, error) { return api.History(ctx, r.Table, r.Limit) })
	long := func(op string, f func(ctx context.Context, r request, progress Progress) (any, error)) {
		mux.HandleFunc("POST "+prefix+op, func(w http.ResponseWriter, hr *http.Request) {
			r, ok := read(w, hr)
			if !ok {
				return
			}
			lines := newLineWriter(w)
			v, err := f(hr.Context(), r, lines.progress)
			if err != nil {
				log.Info("administration refused", "operation", op, "err", err)
				lines.fail(err)
				return
			}
			lines.result(v)
		})
	}
	long("table/vacuum", func(ctx context.Context, r request, progress Progress) (any, error) {
		v, err := api.Vacuum(ctx, r.Table, VacuumOptions{Retain: r.Retain, Force: r.Force, DryRun: r.DryRun}, progress)
		if err == nil && !r.DryRun {
			log.Info("table vacuumed", "table", v.Table, "version", v.Version, "files", v.Files, "bytes", v.Bytes)
		}
		return v, err
	})
	long("table/optimize", func(ctx context.Context, r request, progress Progress) (any, error) {
		v, err := api.Optimize(ctx, r.Table, OptimizeOptions{Target: r.Target, MinFiles: r.MinFiles, DryRun: r.DryRun}, progress)
		if err == nil && !r.DryRun {
			log.Info("table optimized", "table", v.Table, "version", v.Version, "files", v.FilesRemoved, "bytes", v.BytesRemoved)
		}
		return v, err
	})
	long("table/check", func(ctx context.Context, r request, progress Progress) (any, error) {
		return api.Check(ctx, r.Table, CheckOptions{Quick: r.Quick}, progress)
	})
	handle("table/flush", func(ctx context.Context, r request) (any, error) { return struct{}{}, api.Flush(ctx, r.Table) })

	want := []byte("Bearer " + token)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), want) != 1 {
			answer(w, http.StatusUnauthorized, failure{Error: "the admin token is missing or wrong"})
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func statusOf(err error) int {
	switch {
	case errors.Is(err, catalog.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, catalog.ErrExists), errors.Is(err, catalog.ErrNotEmpty):
		return http.StatusConflict
	}
	return http.StatusBadRequest
}

func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store") // there may be a secret in it
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // the client is gone; nobody is left to tell
}

// Client administers a running server.
type Client struct {
	url   string // with Handler's prefix
	token string
	http  *http.Client
}

var _ API = (*Client)(nil)

// NewClient asks the server whose Handler is below url.
func NewClient(url, token string, c *http.Client) *Client {
	return &Client{url: strings.TrimRight(url, "/") + "/", token: token, http: c}
}

// post sends a request. The caller closes the body of the response.
func (c *Client) post(ctx context.Context, op string, r request) (*http.Response, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	hr, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+op, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	hr.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := c.http.Do(hr)
	if err != nil {
		return nil, fmt.Errorf("ask the running server: %w", err)
	}
	return resp, nil
}

func call[T any](ctx context.Context, c *Client, op string, r request) (v T, err error) {
	resp, err := c.post(ctx, op, r)
	if err != nil {
		return v, err
	}
	defer resp.Body.Close()
	dec := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer))
	if resp.StatusCode != http.StatusOK {
		var f failure
		if err := dec.Decode(&f); err != nil || f.Error == "" {
			return v, fmt.Errorf("the running server answered %s", resp.Status)
		}
		if results, ok := any(&v).(*[]catalog.Result); ok {
			*results = f.Results
		}
		return v, &RemoteError{Status: resp.StatusCode, Msg: f.Error}
	}
	if err := dec.Decode(&v); err != nil {
		return v, fmt.Errorf("the running server's answer cannot be read: %w", err)
	}
	return v, nil
}

// RemoteError is the answer of a running server that refused.
type RemoteError struct {
	Status int // of HTTP
	Msg    string
}

func (e *RemoteError) Error() string { return e.Msg }

// SQL implements API.
func (c *Client) SQL(ctx context.Context, script string) ([]catalog.Result, error) {
	return call[[]catalog.Result](ctx, c, "sql", request{Script: script})
}

// CreatePrincipal implements API.
func (c *Client) CreatePrincipal(ctx context.Context, name string) (Credentials, error) {
	return call[Credentials](ctx, c, "principal/create", request{Principal: name})
}

// RotatePrincipal implements API.
func (c *Client) RotatePrincipal(ctx context.Context, principal string) (Credentials, error) {
	return call[Credentials](ctx, c, "principal/rotate", request{Principal: principal})
}

// DeletePrincipal implements API.
func (c *Client) DeletePrincipal(ctx context.Context, principal string) (Principal, error) {
	return call[Principal](ctx, c, "principal/delete", request{Principal: principal})
}

// Principals implements API.
func (c *Client) Principals(ctx context.Context) ([]Principal, error) {
	return call[[]Principal](ctx, c, "principal/list", request{})
}

// RotateKeys implements API.
func (c *Client) RotateKeys(ctx context.Context, revoke bool) (Key, error) {
	return call[Key](ctx, c, "token-keys/rotate", request{Revoke: revoke})
}

// Tables implements API.
func (c *Client) Tables(ctx context.Context) ([]TableSummary, error) {
	return call[[]TableSummary](ctx, c, "table/list", request{})
}

// Describe implements API.
func (c *Client) Describe(ctx context.Context, table string) (TableDetail, error) {
	return call[TableDetail](ctx, c, "table/describe", request{Table: table})
}

// Head implements API.
func (c *Client) Head(ctx context.Context, table string, limit int) (Rows, error) {
	return call[Rows](ctx, c, "table/head", request{Table: table, Limit: limit})
}

// History implements API.
func (c *Client) History(ctx context.Context, table string, limit int) ([]Commit, error) {
	return call[[]Commit](ctx, c, "table/history", request{Table: table, Limit: limit})
}

// Flush implements API.
func (c *Client) Flush(ctx context.Context, table string) error {
	_, err := call[struct{}](ctx, c, "table/flush", request{Table: table})
	return err
}
