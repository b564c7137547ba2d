// Package unity reads a table's columns from Unity Catalog: it takes an endpoint, an access token and a table's name, gives
// the schema, and keeps nothing. One request is made, none is repeated.
//
// What is read of the answer: of each column its name, position, nullability, comment and type, as type_json where there
// is one, which says the most, and as type_text otherwise.
// See https://github.com/unitycatalog/unitycatalog/blob/main/api/all.yaml.
package unity

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/zerobus-go/zerobus/internal/oauth"
	"github.com/zerobus-go/zerobus/internal/rest"
	"github.com/zerobus-go/zerobus/schema"
)

// maxBody bounds what is read of an answer: 2,000 columns of 8 kB.
const maxBody = 16 << 20

// op is the request, for errors.
const op = "table schema"

// Error is why there is no schema.
type Error = rest.Error

// Config says where and how to ask.
type Config struct {
	Endpoint string                                    // URL of the workspace; https unless it says http; a path stays in front
	Token    func(ctx context.Context) (string, error) // gives the access token; its errors are returned as they are
	Client   *http.Client                              // nil for one of the package's own; its redirect policy is not used
}

// ClientToken requests a token with the credentials of a service principal each time that it is called.
func ClientToken(endpoint, clientID, clientSecret string, client *http.Client) func(ctx context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		t, err := oauth.Fetch(ctx, oauth.Config{WorkspaceURL: endpoint, ClientID: clientID, ClientSecret: clientSecret, Client: client})
		return t.Access, err
	}
}

// Fetch asks for the schema of the table catalog.schema.table. It returns when ctx ends, and the requests end after
// [rest.Timeout] each. Errors are the token's, or of type *[Error], whose status is 404 for a table that is not there and
// 403 for one that the token may not see.
func Fetch(ctx context.Context, c Config, table string) (*schema.Struct, error) {
	if parts := strings.Split(table, "."); len(parts) != 3 || slices.Contains(parts, "") {
		return nil, &Error{Op: op, Err: fmt.Errorf("table name %q: it has three parts, catalog.schema.table", table)}
	}
	u, err := rest.URL(c.Endpoint, "api", "2.1", "unity-catalog", "tables", table)
	if err != nil {
		return nil, &Error{Op: op, Err: err}
	}
	tokenCtx, cancelToken := context.WithTimeout(ctx, rest.Timeout)
	defer cancelToken()
	token, err := c.Token(tokenCtx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, rest.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, &Error{Op: op, Err: errors.New("the workspace URL makes no request")}
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Accept", "application/json")
	call := rest.Call{Op: op + " of " + table, Max: maxBody, Secrets: []string{token}, Client: c.Client}
	body, err := call.Do(req)
	if err != nil {
		return nil, err
	}
	s, err := parse(body)
	if err != nil {
		return nil, call.Bad(err)
	}
	return s, nil
}

// column is Unity Catalog's ColumnInfo, as far as it is read.
type column struct {
	Name     string  `json:"name"`
	TypeText string  `json:"type_text"`
	TypeJSON string  `json:"type_json"`
	Position *int    `json:"position"`
	Nullable *bool   `json:"nullable"`
	Comment  *string `json:"comment"`
}

// parse reads a TableInfo.
func parse(body []byte) (*schema.Struct, error) {
	var info struct {
		Columns []column `json:"columns"`
	}
	if err := json.Unmarshal(body, &info); err != nil {
		return nil, errors.New("the answer is not the JSON of a table")
	}
	if len(info.Columns) == 0 {
		return nil, errors.New("the answer has no columns")
	}
	if !slices.ContainsFunc(info.Columns, func(c column) bool { return c.Position == nil }) {
		slices.SortStableFunc(info.Columns, func(a, b column) int { return cmp.Compare(*a.Position, *b.Position) })
	}
	s := &schema.Struct{Fields: make([]schema.Field, len(info.Columns))}
	for i := range info.Columns {
		var err error
		if s.Fields[i], err = info.Columns[i].field(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// field is the column as a field of the schema.
func (c *column) field() (schema.Field, error) {
	f, err := c.fromJSON()
	t, textErr := schema.ParseType(c.TypeText)
	switch {
	case err == nil && textErr == nil:
		f.Type.TakeLengths(&t) // the JSON of a type alone has none
	case err == nil:
	case textErr == nil:
		f = schema.Field{Type: t, Nullable: true}
	default:
		if c.TypeText == "" && c.TypeJSON != "" {
			textErr = err
		}
		return f, fmt.Errorf("column %s: type %s: %w; send JSON records, or a message of your own without the column",
			clip(c.Name), clip(cmp.Or(c.TypeText, c.TypeJSON)), textErr)
	}
	f.Name = c.Name
	if c.Nullable != nil {
		f.Nullable = *c.Nullable
	}
	if c.Comment != nil {
		f.Comment = *c.Comment
	}
	return f, nil
}

// clip is a text of the workspace as an error can show it.
func clip(s string) string {
	const most = 100
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strconv.Quote(s)
}

// fromJSON reads type_json: a StructField, or the type alone.
func (c *column) fromJSON() (f schema.Field, err error) {
	text := bytes.TrimSpace([]byte(c.TypeJSON))
	var whole struct {
		Name *string `json:"name"`
	}
	if json.Unmarshal(text, &whole) == nil && whole.Name != nil {
		err = json.Unmarshal(text, &f)
		return f, err
	}
	f.Nullable = true
	err = json.Unmarshal(text, &f.Type)
	return f, err
}
