package rest

import (
	"net/http"
	"net/url"
	"strings"
)

// discovery answers GET /oidc/.well-known/oauth-authorization-server (RFC 8414), by which Databricks' SDKs find the token
// endpoint.
func (s *server) discovery(w http.ResponseWriter, r *http.Request) {
	base := baseURL(r)
	reply(w, http.StatusOK, map[string]any{
		"issuer":                                base + "/oidc",
		"token_endpoint":                        base + tokenPath,
		"authorization_endpoint":                base + "/oidc/v1/authorize", // required by clients; nobody is asked there
		"grant_types_supported":                 []string{"client_credentials"},
		"response_types_supported":              []string{"token"},
		"scopes_supported":                      []string{"all-apis"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_basic", "client_secret_post"},
	})
}

// workspaceConfig answers GET /.well-known/databricks-config, which newer SDKs ask before.
func (s *server) workspaceConfig(w http.ResponseWriter, r *http.Request) {
	reply(w, http.StatusOK, map[string]string{"oidc_endpoint": baseURL(r) + "/oidc"})
}

// baseURL is the server as this client reaches it. A proxy that ends TLS says so; who lies about it misleads only itself.
func baseURL(r *http.Request) string {
	u := url.URL{Scheme: "http", Host: r.Host}
	if r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https") {
		u.Scheme = "https"
	}
	return u.String()
}
