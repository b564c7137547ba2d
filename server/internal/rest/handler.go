package rest

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/token"
)

// maxBody bounds what a request may send, in bytes.
const maxBody = 256 << 10

// Lake is what the handlers ask of the tables' files.
type Lake interface {
	catalog.Tables
	URL(t catalog.Table) string // a directory, or the URL of one
}

// Config is what the handlers work with. All fields are required.
type Config struct {
	Catalog    *catalog.Catalog
	Tokens     *token.Authority
	Lake       Lake
	Admin      http.Handler // answers below AdminPath
	AdminToken string       // whose bearer is the administrator
	Logger     *slog.Logger
}

// AdminPath is the prefix of the administration's endpoints.
const AdminPath = "/api/zerobus/v1/admin/"

type server struct {
	Config
	engine *catalog.Engine
}

// Handler serves all endpoints:
//
//	POST /oidc/v1/token                               OAuth 2.0 client credentials
//	GET  /oidc/.well-known/oauth-authorization-server where that is
//	GET  /.well-known/databricks-config               where that is said
//	     /api/2.1/unity-catalog/                      catalogs, schemas, tables, permissions
//	GET  /health                                      200 while the server takes requests
//	     /api/zerobus/v1/admin/                       administration
func Handler(c Config) http.Handler {
	s := &server{c, catalog.NewEngine(c.Catalog, c.Lake)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+tokenPath, s.token)
	mux.HandleFunc("GET /oidc/.well-known/oauth-authorization-server", s.discovery)
	mux.HandleFunc("GET /.well-known/databricks-config", s.workspaceConfig)
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.Handle(AdminPath, c.Admin)
	unity, others := s.unity(), http.MaxBytesHandler(mux, maxBody)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isUnity(r.URL.Path) {
			unity.ServeHTTP(w, r) // bounds bodies itself
			return
		}
		others.ServeHTTP(w, r)
	})
}

// Server is an http.Server with the limits that an exposed server needs. It speaks HTTP/1 alone, with TLS as well: for a few
// small requests HTTP/2 would only be more to attack.
func Server(h http.Handler, log *slog.Logger) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Server{
		Protocols:         &protocols,
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      5 * time.Minute, // a statement or a head of a large table
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

func reply(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // the client is gone; nobody is left to tell
}
