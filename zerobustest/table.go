package zerobustest

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/zerobus-go/zerobus/schema"
)

// DescribeTable has the workspace answer for a table catalog.schema.table as Unity Catalog does, until the next call for the
// same name; nil columns take it away. It is for [zerobus.SDK.DescribeTable] and the like: streams are accepted for every
// table, and their records are not checked against the columns. With [Authentic], who asks needs a token that the
// server's token endpoint gave out and that is still good; without, any bearer token.
//
// [zerobus.SDK.DescribeTable]: https://pkg.go.dev/github.com/zerobus-go/zerobus#SDK.DescribeTable
func (s *Server) DescribeTable(name string, columns *schema.Struct) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if columns == nil {
		delete(s.tables, name)
		return
	}
	s.tables[name] = columns
}

// serveTable answers GET /api/2.1/unity-catalog/tables/{name}.
func (s *Server) serveTable(w http.ResponseWriter, r *http.Request) {
	scheme, access, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	s.mu.Lock()
	t := s.tokens[access]
	known := strings.EqualFold(scheme, "bearer") && access != ""
	if s.authentic {
		known = known && t != nil && !t.revoked && time.Now().Before(t.expires)
	}
	columns := s.tables[r.PathValue("name")]
	s.mu.Unlock()
	switch {
	case !known:
		answerJSON(w, http.StatusUnauthorized, map[string]string{"error_code": "UNAUTHENTICATED", "message": "A valid bearer token is required."})
	case columns == nil:
		answerJSON(w, http.StatusNotFound, map[string]string{"error_code": "TABLE_NOT_FOUND", "message": "Table '" + r.PathValue("name") + "' does not exist."})
	default:
		answerJSON(w, http.StatusOK, map[string]any{"name": r.PathValue("name"), "columns": columnInfos(columns)})
	}
}

// columnInfos are the columns as Unity Catalog has them.
func columnInfos(s *schema.Struct) []map[string]any {
	infos := make([]map[string]any, len(s.Fields))
	for i, f := range s.Fields {
		text, err := json.Marshal(f)
		if err != nil {
			text = nil // of a type that is none; its text says so, too
		}
		infos[i] = map[string]any{
			"name": f.Name, "type_text": f.Type.String(), "type_json": string(text), "type_name": f.Type.Kind.CatalogName(),
			"position": i, "nullable": f.Nullable, "comment": f.Comment,
		}
	}
	return infos
}
