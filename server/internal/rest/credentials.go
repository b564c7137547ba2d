package rest

import (
	"github.com/google/uuid"
	"github.com/zerobus-go/zerobus/server/internal/catalog"
)

// tableCredentials answers POST /temporary-table-credentials. Tables are on a disk that the reader must be able to read by itself,
// so there is nothing to hand out. But delta-rs opens no table without a credential, of whatever cloud, so there is one that
// says nothing and opens nothing; others ignore it where the URL is of a file.
func (s *server) tableCredentials(r *request) (any, error) {
	var b struct {
		TableID   string `json:"table_id"`
		Operation string `json:"operation"`
	}
	if err := r.body(&b); err != nil {
		return nil, err
	}
	id, err := uuid.Parse(b.TableID)
	if err != nil {
		return nil, invalidf("table_id is missing or not an id.")
	}
	needs := map[string][]catalog.Privilege{"READ": {catalog.Select}, "READ_WRITE": {catalog.Select, catalog.Modify}}[b.Operation]
	if needs == nil {
		return nil, invalidf("operation is %q; expected READ or READ_WRITE.", clip(b.Operation))
	}
	t, err := s.Catalog.TableByID(id)
	if isNotFound(err) || err == nil && !r.who.Sees(t.Name) {
		return nil, &failure{404, "TABLE_NOT_FOUND", "No table has the id " + id.String() + ", or the principal may not see it."}
	}
	if err != nil {
		return nil, err
	}
	r.about = t.Name
	for _, p := range needs {
		if !r.who.May(p, t.Name) {
			return nil, denied("The principal is missing %s on TABLE %s.", p, t.Name)
		}
	}
	return map[string]any{
		"aws_temp_credentials": map[string]string{"access_key_id": "", "secret_access_key": "", "session_token": ""},
		"expiration_time":      r.who.expires.UnixMilli(),
		"url":                  fileURL(s.Lake.URL(t)),
	}, nil
}
