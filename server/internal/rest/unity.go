package rest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/zerobus-go/zerobus/server/internal/catalog"
)

const (
	unityPath = "/api/2.1/unity-catalog"

	// olderPath is where some clients still ask for credentials.
	olderPath = "/api/2.0/unity-catalog"

	// maxTableBody bounds the request that makes a table, in bytes: 2,000 columns of 2 kB.
	maxTableBody = 4 << 20
)

// request is one request to Unity Catalog.
type request struct {
	*http.Request
	who   *caller
	about catalog.Name // what it is about, as far as it is known, for errors
}

// unity answers everything below unityPath. The shapes are those of
// https://github.com/unitycatalog/unitycatalog/blob/main/api/all.yaml, with what Databricks adds and clients need.
func (s *server) unity() http.Handler {
	mux := http.NewServeMux()
	handle := func(limit int64, pattern string, f func(r *request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, hr *http.Request) { s.serve(w, hr, limit, f) })
	}
	for pattern, f := range map[string]func(r *request) (any, error){
		"GET /metastore_summary":                   s.metastore,
		"GET /catalogs":                            s.listCatalogs,
		"POST /catalogs":                           s.createCatalog,
		"GET /catalogs/{name}":                     s.getCatalog,
		"PATCH /catalogs/{name}":                   s.updateCatalog,
		"DELETE /catalogs/{name}":                  s.deleteCatalog,
		"GET /schemas":                             s.listSchemas,
		"POST /schemas":                            s.createSchema,
		"GET /schemas/{name}":                      s.getSchema,
		"PATCH /schemas/{name}":                    s.updateSchema,
		"DELETE /schemas/{name}":                   s.deleteSchema,
		"GET /tables":                              s.listTables,
		"GET /tables/{name}":                       s.getTable,
		"DELETE /tables/{name}":                    s.deleteTable,
		"GET /tables/{name}/exists":                s.tableExists,
		"GET /table-summaries":                     s.tableSummaries,
		"GET /permissions/{type}/{name}":           s.getPermissions,
		"PATCH /permissions/{type}/{name}":         s.updatePermissions,
		"GET /effective-permissions/{type}/{name}": s.effectivePermissions,
		"POST /temporary-table-credentials":        s.tableCredentials,
	} {
		method, path, _ := strings.Cut(pattern, " ")
		handle(maxBody, method+" "+unityPath+path, f)
	}
	handle(maxTableBody, "POST "+unityPath+"/tables", s.createTable)
	handle(maxBody, "POST "+olderPath+"/temporary-table-credentials", s.tableCredentials)
	mux.HandleFunc("/", noSuchEndpoint)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path.Clean(r.URL.Path) != r.URL.Path { // the mux would redirect, with a page for people
			noSuchEndpoint(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// isUnity reports whether a path is for unity.
func isUnity(path string) bool {
	return strings.HasPrefix(path, unityPath) || strings.HasPrefix(path, olderPath)
}

func noSuchEndpoint(w http.ResponseWriter, r *http.Request) {
	(&failure{http.StatusNotFound, "ENDPOINT_NOT_FOUND", "There is no endpoint " + clip(r.Method) + " " + clip(r.URL.Path) + "."}).write(w)
}

// serve authenticates before anything of the body is read.
func (s *server) serve(w http.ResponseWriter, hr *http.Request, limit int64, f func(r *request) (any, error)) {
	r := &request{Request: hr}
	v, err := func() (_ any, err error) {
		if r.who, err = s.caller(hr); err != nil {
			return nil, err
		}
		changes := hr.Method != http.MethodGet && hr.Method != http.MethodHead && !strings.HasSuffix(hr.URL.Path, "/temporary-table-credentials")
		if changes && r.who.readOnly {
			return nil, denied("The token was requested with authorization_details, so it may read and stream only: request one without.")
		}
		hr.Body = http.MaxBytesReader(w, hr.Body, limit)
		return f(r)
	}()
	if err == nil {
		reply(w, http.StatusOK, v)
		return
	}
	answer, told := failureOf(err, r.about)
	if !told {
		s.Logger.Error("request not answered", "method", hr.Method, "path", clip(hr.URL.Path), "err", err)
	}
	answer.write(w)
}

// body reads the request's JSON. Fields that are not known are left alone: clients send many.
func (r *request) body(v any) error {
	d := json.NewDecoder(r.Body)
	err := d.Decode(v)
	if err == nil {
		if _, err = d.Token(); err == nil {
			err = errors.New("there is more")
		} else if errors.Is(err, io.EOF) {
			return nil
		}
	}
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return err
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		return invalidf("The request's field %s is a %s where a %s is expected.", clip(wrong.Field), wrong.Value, wrong.Type)
	}
	return invalidf("The request is not the JSON object that it should be.")
}

// named reads the name in the path.
func (r *request) named(objectType string) (catalog.Name, error) {
	n, err := catalog.ParseSecurable(objectType, r.PathValue("name"))
	if err != nil {
		return n, err
	}
	r.about = n
	return n, nil
}

// flag reads a query parameter that is true or false.
func (r *request) flag(name string) (bool, error) {
	switch v := r.URL.Query().Get(name); strings.ToLower(v) {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, invalidf("%s is %q; expected true or false.", name, clip(v))
	}
}

// Pages. Without max_results a list is whole, because there are clients that do not ask for the next page; with 0 the server
// chooses.
const (
	pageOfServer = 100
	maxPage      = 1000
	pageVersion  = "1:" // in front of the last name of a page, in its token
)

// pageOf cuts one page out of a list that is sorted by key. next is the token of the page after it, or empty.
func pageOf[T any](r *request, list []T, key func(T) string) (page []T, next string, err error) {
	q := r.URL.Query()
	size := len(list)
	if text := q.Get("max_results"); text != "" {
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil || n < 0 {
			return nil, "", invalidf("max_results is %q; expected a whole number from 0.", clip(text))
		}
		if size = int(min(n, maxPage)); n == 0 {
			size = pageOfServer
		}
	}
	if text := q.Get("page_token"); text != "" {
		b, err := base64.RawURLEncoding.DecodeString(text)
		after, ok := strings.CutPrefix(string(b), pageVersion)
		if err != nil || !ok {
			return nil, "", invalidf("page_token is not one that a list has given.")
		}
		// By name, not by number: what is made or dropped between two pages moves nothing.
		i, found := slices.BinarySearchFunc(list, after, func(v T, key2 string) int { return strings.Compare(key(v), key2) })
		if found {
			i++
		}
		list = list[i:]
	}
	if size >= len(list) {
		return list, "", nil
	}
	return list[:size], base64.RawURLEncoding.EncodeToString([]byte(pageVersion + key(list[size-1]))), nil
}

// listed is the answer of a list: the field name and next_page_token, which is absent at the end.
func listed[T any](name string, list []T, next string) map[string]any {
	if list == nil {
		list = []T{}
	}
	m := map[string]any{name: list}
	if next != "" {
		m["next_page_token"] = next
	}
	return m
}

// metastore answers GET /metastore_summary: there is one, and everybody is in it.
func (s *server) metastore(*request) (any, error) {
	return map[string]any{"metastore_id": s.Catalog.ID(), "name": "zerobus"}, nil
}
