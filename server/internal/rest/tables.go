package rest

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/zerobus-go/zerobus/schema"
	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/token"
)

// tableInfo is Unity Catalog's TableInfo: https://github.com/unitycatalog/unitycatalog/blob/main/api/all.yaml.
type tableInfo struct {
	Name             string            `json:"name"`
	CatalogName      string            `json:"catalog_name"`
	SchemaName       string            `json:"schema_name"`
	FullName         string            `json:"full_name"`
	TableType        string            `json:"table_type"`
	DataSourceFormat string            `json:"data_source_format"`
	Columns          []columnInfo      `json:"columns"`
	StorageLocation  string            `json:"storage_location"`
	Comment          string            `json:"comment,omitempty"`
	Properties       map[string]string `json:"properties"`
	Owner            string            `json:"owner"`
	CreatedAt        int64             `json:"created_at"` // milliseconds since the epoch
	UpdatedAt        int64             `json:"updated_at"`
	TableID          string            `json:"table_id"`
}

type columnInfo struct {
	Name      string `json:"name"`
	TypeText  string `json:"type_text"`
	TypeJSON  string `json:"type_json"`
	TypeName  string `json:"type_name"`
	Precision int    `json:"type_precision"`
	Scale     int    `json:"type_scale"`
	Position  int    `json:"position"`
	Comment   string `json:"comment,omitempty"`
	Nullable  bool   `json:"nullable"`
}

// table answers GET /api/2.1/unity-catalog/tables/{full_name}. The bearer needs SELECT or MODIFY on the table and USE on what
// it is in; a table that may not be seen is answered like one that is not there.
func (s *server) table(w http.ResponseWriter, r *http.Request) {
	claims, ok := s.bearer(w, r)
	if !ok {
		return
	}
	name, err := catalog.ParseTableName(r.PathValue("name"))
	if err != nil {
		ucError(w, http.StatusBadRequest, "INVALID_PARAMETER_VALUE", err.Error())
		return
	}
	t, err := s.Catalog.Table(name)
	if err == nil && !s.mayRead(claims.PrincipalID, name) {
		err = catalog.ErrNotFound
	}
	switch {
	case errors.Is(err, catalog.ErrNotFound):
		ucError(w, http.StatusNotFound, "TABLE_NOT_FOUND", "Table '"+name.String()+"' does not exist, or the principal may not read it.")
		return
	case err != nil:
		s.internal(w, "table not read", err)
		return
	}
	cols, err := s.Lake.Schema(r.Context(), t)
	if err != nil {
		s.internal(w, "schema not read", err)
		return
	}
	reply(w, http.StatusOK, s.info(t, cols))
}

func (s *server) mayRead(principal string, name catalog.Name) bool {
	return s.Catalog.Check(principal, catalog.UseCatalog, name.Parent().Parent()) &&
		s.Catalog.Check(principal, catalog.UseSchema, name.Parent()) &&
		(s.Catalog.Check(principal, catalog.Select, name) || s.Catalog.Check(principal, catalog.Modify, name))
}

func (s *server) bearer(w http.ResponseWriter, r *http.Request) (token.Claims, bool) {
	scheme, t, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		claims, err := s.Tokens.Verify(strings.TrimSpace(t))
		if err == nil {
			return claims, true
		}
		if errors.Is(err, token.ErrExpired) {
			ucError(w, http.StatusUnauthorized, "UNAUTHENTICATED", "The token has expired.")
			return token.Claims{}, false
		}
	}
	ucError(w, http.StatusUnauthorized, "UNAUTHENTICATED", "A valid bearer token is required.")
	return token.Claims{}, false
}

func (s *server) info(t catalog.Table, cols *schema.Struct) tableInfo {
	properties := t.Properties
	if properties == nil {
		properties = map[string]string{}
	}
	info := tableInfo{
		Name: t.Name.Table, CatalogName: t.Name.Catalog, SchemaName: t.Name.Schema, FullName: t.Name.String(),
		TableType: "MANAGED", DataSourceFormat: "DELTA", StorageLocation: s.Lake.URL(t), Comment: t.Comment,
		Properties: properties, Owner: t.Owner, CreatedAt: t.Created.UnixMilli(), UpdatedAt: t.Updated.UnixMilli(),
		TableID: t.ID.String(), Columns: make([]columnInfo, len(cols.Fields)),
	}
	for i := range cols.Fields {
		f := &cols.Fields[i]
		js, _ := json.Marshal(f) // a schema that was parsed can be written
		info.Columns[i] = columnInfo{
			Name: f.Name, TypeText: f.Type.String(), TypeJSON: string(js), TypeName: f.Type.Kind.CatalogName(),
			Precision: f.Type.Precision, Scale: f.Type.Scale, Position: i, Comment: f.Comment, Nullable: f.Nullable,
		}
	}
	return info
}

func (s *server) internal(w http.ResponseWriter, msg string, err error) {
	s.Logger.Error(msg, "err", err)
	ucError(w, http.StatusInternalServerError, "INTERNAL_ERROR", "The server's log says what happened.")
}

func ucError(w http.ResponseWriter, code int, name, msg string) {
	reply(w, code, map[string]any{"error_code": name, "message": msg, "details": []any{}})
}
