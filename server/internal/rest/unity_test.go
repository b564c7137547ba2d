package rest_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/zerobus-go/zerobus/server/internal/token"
)

func TestUnity_ListsShowWhatThePrincipalMaySee(t *testing.T) {
	a := newAPI(t)
	a.sql("CREATE CATALOG hidden; CREATE SCHEMA hidden.s; CREATE SCHEMA main.other; CREATE TABLE main.default.a (id BIGINT); CREATE TABLE main.default.b (id BIGINT); CREATE TABLE main.other.c (id BIGINT); CREATE TABLE hidden.s.t (id BIGINT)")
	_, nobody := a.principal("nobody")
	_, reader := a.principal("reader", "USE CATALOG ON CATALOG main", "USE SCHEMA ON SCHEMA main.default", "SELECT ON TABLE main.default.a", "SELECT ON TABLE main.other.c")
	_, wide := a.principal("wide", "ALL PRIVILEGES ON CATALOG main", "SELECT ON CATALOG hidden")
	_, writer := a.principal("writer", "USE CATALOG ON CATALOG main", "USE SCHEMA ON CATALOG main", "MODIFY ON SCHEMA main.default")
	owner, owning := a.principal("owner")
	if code, v := a.do("PATCH", unity+"/catalogs/hidden", adminToken, `{"owner":"`+owner+`"}`); code != 200 || v["owner"] != owner {
		t.Fatalf("%d %v", code, v)
	}
	for _, c := range []struct {
		who, bearer                      string
		catalogs, schemas, tables, names string
	}{
		{"nobody", nobody, "", "-", "-", "-"},
		{"reader", reader, "main", "default", "a", "main.default.a"},
		{"wide", wide, "main", "default other", "a b", "main.default.a main.default.b main.other.c"},
		{"writer", writer, "main", "default other", "a b", "main.default.a main.default.b"},
		{"owner", owning, "hidden", "-", "-", "-"},
		{"admin", adminToken, "hidden main", "default other", "a b", "main.default.a main.default.b main.other.c"},
	} {
		if got := names(a.must("GET", "/catalogs", c.bearer, ""), "catalogs", "name"); got != c.catalogs {
			t.Errorf("%s sees the catalogs %q", c.who, got)
		}
		for path, want := range map[string]string{
			"/schemas?catalog_name=main schemas name":                   c.schemas,
			"/tables?catalog_name=main&schema_name=default tables name": c.tables,
			"/table-summaries?catalog_name=main tables full_name":       c.names,
		} {
			f := strings.Fields(path)
			if want == "-" {
				a.refused("GET", f[0], c.bearer, "", 404, map[bool]string{true: "SCHEMA_NOT_FOUND", false: "CATALOG_NOT_FOUND"}[strings.HasPrefix(path, "/tables")])
			} else if got := names(a.must("GET", f[0], c.bearer, ""), f[1], f[2]); got != want {
				t.Errorf("%s: GET %s gives %q, want %q", c.who, f[0], got, want)
			}
		}
	}
	if got := names(a.must("GET", "/tables?catalog_name=hidden&schema_name=s", owning, ""), "tables", "name"); got != "t" {
		t.Errorf("the owner of the catalog sees %q", got)
	}
}

// What may not be seen is answered to the letter like what does not exist.
func TestUnity_UnknownAndUnseenAreAlike(t *testing.T) {
	a := newAPI(t)
	a.sql("CREATE CATALOG real_; CREATE SCHEMA real_.real_; CREATE TABLE real_.real_.real_ (id BIGINT)")
	_, nobody := a.principal("nobody")
	_, near := a.principal("near", "USE CATALOG ON CATALOG real_", "USE SCHEMA ON CATALOG real_", "USE CATALOG ON CATALOG main", "USE SCHEMA ON CATALOG main")
	for _, bearer := range []string{nobody, near} {
		for _, path := range []string{
			"GET /catalogs/N", "PATCH /catalogs/N", "DELETE /catalogs/N", "GET /schemas/N.N", "PATCH /schemas/N.N", "DELETE /schemas/N.N",
			"GET /tables/N.N.N", "DELETE /tables/N.N.N", "GET /tables/N.N.N/exists", "GET /permissions/table/N.N.N", "PATCH /permissions/table/N.N.N",
			"GET /effective-permissions/catalog/N", "GET /schemas?catalog_name=N", "GET /tables?catalog_name=N&schema_name=N", "GET /table-summaries?catalog_name=N",
		} {
			if bearer == near && !strings.Contains(path, "N.N.N") {
				continue // near sees these
			}
			method, path, _ := strings.Cut(path, " ")
			ask := func(name string) string {
				code, v := a.do(method, unity+strings.ReplaceAll(path, "N", name), bearer, map[bool]string{true: "{}"}[method == "PATCH"])
				return strings.ReplaceAll(fmt.Sprint(code, v), name, "N")
			}
			if unseen, unknown := ask("real_"), ask("none_"); unseen != unknown || !strings.Contains(unseen, "404") && !strings.Contains(unseen, "table_exists:false") {
				t.Errorf("%s %s: %s, but %s", method, path, unseen, unknown)
			}
		}
		id, err := uuid.Parse(fmt.Sprint(a.must("GET", "/tables/real_.real_.real_", adminToken, "")["table_id"]))
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []uuid.UUID{id, uuid.New()} {
			a.refused("POST", "/temporary-table-credentials", bearer, `{"table_id":"`+id.String()+`","operation":"READ"}`, 404, "TABLE_NOT_FOUND", "No table has the id "+id.String())
		}
		for _, name := range []string{"real_", "none_"} {
			if bearer == nobody {
				a.refused("POST", "/schemas", bearer, `{"name":"x","catalog_name":"`+name+`"}`, 404, "CATALOG_NOT_FOUND")
				a.refused("POST", "/tables", bearer, newTable(name+"."+name, "x", idColumn), 404, "SCHEMA_NOT_FOUND")
			}
		}
	}
}

func TestUnity_WhoMayMakeAndDrop(t *testing.T) {
	a := newAPI(t)
	a.sql("CREATE TABLE main.default.old (id BIGINT)")
	maker, making := a.principal("maker", "USE CATALOG ON CATALOG main", "USE SCHEMA ON SCHEMA main.default", "CREATE TABLE ON SCHEMA main.default", "CREATE SCHEMA ON CATALOG main", "SELECT ON TABLE main.default.old")
	other, others := a.principal("other", "USE CATALOG ON CATALOG main", "USE SCHEMA ON CATALOG main", "SELECT, MODIFY ON CATALOG main")
	lone, loner := a.principal("loner", "CREATE TABLE ON SCHEMA main.default") // without USE
	_ = lone

	a.refused("POST", "/catalogs", making, `{"name":"mine"}`, 403, "PERMISSION_DENIED", "administrator")
	a.refused("POST", "/schemas", others, `{"name":"x","catalog_name":"main"}`, 403, "PERMISSION_DENIED", "CREATE SCHEMA on CATALOG main")
	a.refused("POST", "/tables", others, newTable("main.default", "x", idColumn), 403, "PERMISSION_DENIED", "CREATE TABLE on SCHEMA main.default")
	a.refused("POST", "/tables", loner, newTable("main.default", "x", idColumn), 404, "SCHEMA_NOT_FOUND")
	a.refused("DELETE", "/tables/main.default.old", making, "", 403, "PERMISSION_DENIED", "owner")
	a.refused("DELETE", "/schemas/main.default", others, "", 403, "PERMISSION_DENIED", "owner")
	a.refused("PATCH", "/catalogs/main", making, `{"comment":"mine"}`, 403, "PERMISSION_DENIED", "owner")
	a.refused("PATCH", "/permissions/table/main.default.old", making, `{"changes":[{"principal":"maker","add":["MODIFY"],"remove":[]}]}`, 403, "PERMISSION_DENIED", "owner")

	v := a.must("POST", "/tables", making, newTable("main.default", "mine", idColumn))
	if v["owner"] != maker || v["full_name"] != "main.default.mine" || v["table_type"] != "MANAGED" {
		t.Errorf("got %v", v)
	}
	// The owner reads and writes, and lets others do so; it streams by the same right.
	a.must("POST", "/temporary-table-credentials", making, `{"table_id":"`+v["table_id"].(string)+`","operation":"READ_WRITE"}`)
	a.must("PATCH", "/permissions/table/main.default.mine", making, `{"changes":[{"principal":"`+other+`","add":["SELECT"],"remove":[]}]}`)
	a.refused("DELETE", "/tables/main.default.mine", others, "", 403, "PERMISSION_DENIED")
	a.refused("POST", "/tables", making, newTable("main.default", "MINE", idColumn), 409, "TABLE_ALREADY_EXISTS")

	// What is in a schema that somebody owns can be dropped by its owner, whoever made it.
	a.must("POST", "/schemas", making, `{"name":"s","catalog_name":"main","comment":"c","properties":{"a":"b"}}`)
	a.sql("CREATE TABLE main.s.of_admin (id BIGINT)")
	a.refused("DELETE", "/schemas/main.s", making, "", 400, "FAILED_PRECONDITION", "main.s.of_admin")
	a.refused("DELETE", "/schemas/main.s?force=maybe", making, "", 400, "INVALID_PARAMETER_VALUE", "force")
	place := strings.TrimPrefix(must(url.PathUnescape(a.must("GET", "/tables/main.s.of_admin", making, "")["storage_location"].(string))), "file://")
	if _, err := os.Stat(place + "/_delta_log/00000000000000000000.json"); err != nil {
		t.Error(err)
	}
	if v := a.must("DELETE", "/schemas/main.s?force=true", making, ""); len(v) != 0 {
		t.Errorf("got %v", v)
	}
	if _, err := os.Stat(place); !os.IsNotExist(err) {
		t.Errorf("the table's files: %v", err)
	}
	a.must("DELETE", "/tables/main.default.mine", making, "")
	a.refused("GET", "/tables/main.default.mine", making, "", 404, "TABLE_NOT_FOUND")
	if got := a.log.String(); !strings.Contains(got, `msg="catalog dropped" object=main.default.mine principal=`+maker) {
		t.Errorf("the log is %s", got)
	}
}

func must(s string, err error) string {
	if err != nil {
		panic(err)
	}
	return s
}

func TestUnity_NamespacesOfTheAdministrator(t *testing.T) {
	a := newAPI(t)
	v := a.must("POST", "/catalogs", adminToken, `{"name":"Sales","comment":"ünï 🎈","properties":{"k":"v"},"extra":1}`)
	for field, want := range map[string]any{"name": "sales", "full_name": "sales", "comment": "ünï 🎈", "owner": "admin", "catalog_type": "MANAGED_CATALOG", "metastore_id": a.catalog.ID().String()} {
		if v[field] != want {
			t.Errorf("%s is %v", field, v[field])
		}
	}
	if p := v["properties"].(map[string]any); p["k"] != "v" || v["created_at"].(float64) < 1e12 || uuid.Validate(v["id"].(string)) != nil {
		t.Errorf("got %v", v)
	}
	v = a.must("POST", "/schemas", adminToken, `{"name":"q1","catalog_name":"SALES"}`)
	if v["full_name"] != "sales.q1" || v["catalog_name"] != "sales" || v["name"] != "q1" || len(v["properties"].(map[string]any)) != 0 {
		t.Errorf("got %v", v)
	}
	v = a.must("PATCH", "/schemas/sales.q1", adminToken, `{"comment":"new","properties":{"x":"y"},"new_name":"sales.q1"}`)
	if v["comment"] != "new" || v["properties"].(map[string]any)["x"] != "y" {
		t.Errorf("got %v", v)
	}
	if again := a.must("GET", "/schemas/sales.q1", adminToken, ""); fmt.Sprint(again) != fmt.Sprint(v) {
		t.Errorf("got %v, then %v", v, again)
	}
	a.refused("PATCH", "/schemas/sales.q1", adminToken, `{"new_name":"q2"}`, 400, "INVALID_PARAMETER_VALUE", "renamed")
	a.refused("PATCH", "/schemas/sales.q1", adminToken, `{"owner":"nobody"}`, 404, "RESOURCE_DOES_NOT_EXIST", "nobody")
	a.refused("POST", "/catalogs", adminToken, `{"name":"sales"}`, 409, "CATALOG_ALREADY_EXISTS")
	a.refused("POST", "/schemas", adminToken, `{"name":"q1","catalog_name":"sales"}`, 409, "SCHEMA_ALREADY_EXISTS")
	a.refused("DELETE", "/catalogs/sales", adminToken, "", 400, "FAILED_PRECONDITION", "sales.q1")
	a.must("DELETE", "/catalogs/sales?force=true", adminToken, "")
	a.refused("GET", "/catalogs/sales", adminToken, "", 404, "CATALOG_NOT_FOUND")
	if v := a.must("GET", "/metastore_summary", adminToken, ""); v["metastore_id"] != a.catalog.ID().String() {
		t.Errorf("got %v", v)
	}
}

func TestUnity_Pages(t *testing.T) {
	a := newAPI(t)
	for _, n := range []string{"a", "b", "c", "d", "e"} {
		a.sql("CREATE CATALOG " + n + "; CREATE SCHEMA main." + n + "; CREATE TABLE main.default." + n + " (id BIGINT)")
		a.principal("p-"+n, "SELECT ON SCHEMA main.default")
	}
	for _, c := range []struct{ path, list, field string }{
		{"/catalogs?max_results=", "catalogs", "name"},
		{"/schemas?catalog_name=main&max_results=", "schemas", "name"},
		{"/tables?catalog_name=main&schema_name=default&max_results=", "tables", "name"},
		{"/table-summaries?catalog_name=main&max_results=", "tables", "full_name"},
		{"/permissions/schema/main.default?max_results=", "privilege_assignments", "principal"},
		{"/effective-permissions/schema/main.default?max_results=", "privilege_assignments", "principal"},
	} {
		whole := a.pages(c.path, adminToken, c.list, c.field)
		if len(whole) != 1 || len(strings.Fields(whole[0])) < 5 {
			t.Errorf("%s: without a size there are %q", c.path, whole)
		}
		for _, size := range []int{1, 2, 3, 5, 7, 2000, 0} {
			pages := a.pages(c.path+fmt.Sprint(size), adminToken, c.list, c.field)
			if got := strings.Join(pages, " "); got != whole[0] {
				t.Errorf("%s%d: %q, want %q", c.path, size, pages, whole)
			}
			if n := len(strings.Fields(pages[0])); size > 0 && n > size {
				t.Errorf("%s%d: the first page has %d", c.path, size, n)
			}
		}
		for _, bad := range []string{"-1", "x", "1.5", "99999999999999999999"} {
			a.refused("GET", c.path+bad, adminToken, "", 400, "INVALID_PARAMETER_VALUE", "max_results")
		}
		for _, bad := range []string{"x", "!!", "Mjphbg", "%00", strings.Repeat("A", 3000)} {
			a.refused("GET", c.path+"1&page_token="+bad, adminToken, "", 400, "INVALID_PARAMETER_VALUE", "page_token")
		}
	}
	// A page goes on behind the last name, whatever has happened to it.
	first := a.must("GET", "/catalogs?max_results=2", adminToken, "")
	a.sql("DROP CATALOG b; CREATE CATALOG aa; CREATE CATALOG bb")
	rest := a.must("GET", "/catalogs?max_results=9&page_token="+first["next_page_token"].(string), adminToken, "")
	if got := names(rest, "catalogs", "name"); got != "bb c d e main" {
		t.Errorf("the second page has %q", got)
	}
}

func TestUnity_SummariesByPattern(t *testing.T) {
	a := newAPI(t)
	a.sql("CREATE SCHEMA main.dev; CREATE TABLE main.default.ab (id INT); CREATE TABLE main.default.a_b (id INT); CREATE TABLE main.dev.aab (id INT)")
	for pattern, want := range map[string]string{
		"": "main.default.a_b main.default.ab main.dev.aab", "schema_name_pattern=d%25": "main.default.a_b main.default.ab main.dev.aab",
		"schema_name_pattern=de_": "main.dev.aab", "table_name_pattern=a%25b": "main.default.a_b main.default.ab main.dev.aab",
		"table_name_pattern=a_b": "main.default.a_b main.dev.aab", "table_name_pattern=%25B": "main.default.a_b main.default.ab main.dev.aab",
		"table_name_pattern=b%25": "", "table_name_pattern=%25%25a%25b%25": "main.default.a_b main.default.ab main.dev.aab", "table_name_pattern=ab": "main.default.ab",
		"table_name_pattern=" + strings.Repeat("%25a", 2000): "",
	} {
		if got := names(a.must("GET", "/table-summaries?catalog_name=main&"+pattern, adminToken, ""), "tables", "full_name"); got != want {
			t.Errorf("%.60s: %q, want %q", pattern, got, want)
		}
	}
}

func TestUnity_RefusesWhatIsMalformed(t *testing.T) {
	a := newAPI(t)
	long := strings.Repeat("x", 256)
	for _, name := range []string{"a b", "a%2Fb", "ünï", "%F0%9F%8E%88", "..%2F..%2Fetc", "%2e%2e", "a.b.c.d", "main.", ".main", "a%00b", "%60main%60", "a'b", "a%22b", long, strings.Repeat(long, 40), "%ff"} {
		path := strings.ReplaceAll(name, " ", "%20")
		for _, kind := range []string{"/catalogs/", "/schemas/main.", "/tables/main.default."} {
			for _, method := range []string{"GET", "DELETE"} {
				code, v := a.do(method, unity+kind+path, adminToken, "")
				if code != 400 && code != 404 || v["error_code"] != "INVALID_PARAMETER_VALUE" && v["error_code"] != "ENDPOINT_NOT_FOUND" {
					t.Errorf("%s %s%.40s: %d %v", method, kind, path, code, v)
				}
			}
		}
		decoded := must(url.PathUnescape(path))
		a.refused("POST", "/catalogs", adminToken, fmt.Sprintf(`{"name":%q}`, strings.ToValidUTF8(decoded, "?")), 400, "INVALID_PARAMETER_VALUE")
		a.refused("POST", "/tables", adminToken, newTable("main.default", strings.ToValidUTF8(strings.ReplaceAll(decoded, "\x00", "?"), "?"), idColumn), 400, "INVALID_PARAMETER_VALUE")
	}
	for _, c := range []struct{ method, path, body string }{
		{"GET", "/schemas", ""},
		{"GET", "/tables?catalog_name=main", ""},
		{"GET", "/tables?schema_name=default", ""},
		{"GET", "/tables?catalog_name=main.default&schema_name=x", ""},
		{"GET", "/tables?catalog_name=main&schema_name=default&omit_columns=2", ""},
		{"GET", "/table-summaries", ""},
		{"GET", "/catalogs/main.default", ""},
		{"GET", "/schemas/main", ""},
		{"GET", "/tables/main.default", ""},
		{"GET", "/permissions/volume/main.default.v", ""},
		{"GET", "/permissions/catalog/main.default", ""},
		{"POST", "/catalogs", ""},
		{"POST", "/catalogs", "null x"},
		{"POST", "/catalogs", "[]"},
		{"POST", "/catalogs", `{"name":"x"} {"name":"y"}`},
		{"POST", "/catalogs", `{"name":7}`},
		{"POST", "/catalogs", `{"name":""}`},
		{"POST", "/catalogs", `{}`},
		{"POST", "/catalogs", `{"name":"x","storage_root":"s3://b"}`},
		{"POST", "/catalogs", `{"name":"x","properties":{"":"v"}}`},
		{"POST", "/catalogs", `{"name":"x","properties":{"a":1}}`},
		{"POST", "/catalogs", `{"name":"x","comment":"` + strings.Repeat("c", 5000) + `"}`},
		{"POST", "/catalogs", strings.Repeat("[", 100_000)},
		{"POST", "/schemas", `{"name":"x"}`},
		{"POST", "/schemas", `{"name":"a.b","catalog_name":"main"}`},
		{"POST", "/schemas", `{"name":"b","catalog_name":"main.a"}`},
		{"POST", "/temporary-table-credentials", `{"table_id":"x","operation":"READ"}`},
		{"POST", "/temporary-table-credentials", `{"table_id":"` + uuid.NewString() + `","operation":"WRITE"}`},
		{"PATCH", "/permissions/catalog/main", `{"changes":7}`},
		{"PATCH", "/permissions/catalog/main", `{"changes":[{"add":["SELECT"],"remove":[]}]}`},
		{"PATCH", "/permissions/catalog/main", `{"changes":[` + strings.Repeat(`{"principal":"x","add":[],"remove":[]},`, 100) + `{"principal":"x","add":[],"remove":[]}]}`},
	} {
		a.refused(c.method, c.path, adminToken, c.body, 400, "INVALID_PARAMETER_VALUE")
	}
	for _, c := range []string{"GET /nothing", "POST /tables/main.default.t", "PUT /catalogs", "DELETE /catalogs", "GET /catalogs/", "GET //catalogs", "GET /tables/../catalogs", "POST /staging-tables", "GET /volumes", "BREW /catalogs", "GET "} {
		method, path, _ := strings.Cut(c, " ")
		a.refused(method, path, adminToken, "", 404, "ENDPOINT_NOT_FOUND")
	}
	huge := `{"name":"` + strings.Repeat("x", 300<<10) + `"}`
	a.refused("POST", "/catalogs", adminToken, huge, 413, "REQUEST_TOO_LARGE", "262144")
	a.refused("PATCH", "/permissions/catalog/main", adminToken, huge, 413, "REQUEST_TOO_LARGE")
	a.refused("POST", "/tables", adminToken, `{"name":"`+strings.Repeat("x", 5<<20)+`"}`, 413, "REQUEST_TOO_LARGE", "4194304")
	a.refused("POST", "/tables", "", huge, 401, "UNAUTHENTICATED") // unread
}

func TestUnity_Bearers(t *testing.T) {
	a := newAPI(t)
	id, tok := a.principal("p", "USE CATALOG ON CATALOG main")
	details := []token.Grant{{Type: "unity_catalog_privileges", Privileges: []string{"USE CATALOG"}, ObjectType: "CATALOG", Object: "main"}}
	stream := a.issue(token.Claims{PrincipalID: id, Audience: "api://databricks/workspaces/1/zerobusDirectWriteApi", Grants: details})
	narrow := a.issue(token.Claims{PrincipalID: id, Grants: details})
	gone := a.issue(token.Claims{PrincipalID: uuid.NewString()})
	for what, bearer := range map[string]string{"none": "", "garbage": "abc", "altered": tok[:len(tok)-2], "of a stranger": gone, "for streams": stream, "almost admin": adminToken[1:], "more than admin": adminToken + "0"} {
		for _, path := range []string{"GET /catalogs", "POST /catalogs", "GET /tables/main.default.t", "DELETE /catalogs/main", "PATCH /permissions/catalog/main", "POST /temporary-table-credentials"} {
			method, path, _ := strings.Cut(path, " ")
			t.Run(what, func(*testing.T) { a.refused(method, path, bearer, "", 401, "UNAUTHENTICATED") })
		}
	}
	if got := names(a.must("GET", "/catalogs", narrow, ""), "catalogs", "name"); got != "main" {
		t.Errorf("a narrow token sees %q", got)
	}
	a.refused("POST", "/schemas", narrow, `{}`, 403, "PERMISSION_DENIED", "authorization_details")
	a.must("GET", "/catalogs/main", tok, "")
	if _, err := a.catalog.DeletePrincipal(id); err != nil {
		t.Fatal(err)
	}
	a.refused("GET", "/catalogs/main", tok, "", 401, "UNAUTHENTICATED", "does not exist any more")
	if strings.Contains(a.log.String(), tok) || strings.Contains(a.log.String(), adminToken) {
		t.Error("the log has a token")
	}
}

func TestUnity_CredentialsOfALocalTable(t *testing.T) {
	a := newAPI(t)
	v := a.must("POST", "/tables", adminToken, newTable("main.default", "t", idColumn))
	_, reader := a.principal("reader", "USE CATALOG ON CATALOG main", "USE SCHEMA ON CATALOG main", "SELECT ON TABLE main.default.t")
	_, writer := a.principal("writer", "USE CATALOG ON CATALOG main", "USE SCHEMA ON CATALOG main", "MODIFY ON TABLE main.default.t")
	ask := func(op string) string {
		return `{"table_id":"` + v["table_id"].(string) + `","operation":"` + op + `"}`
	}
	for _, bearer := range []string{reader, adminToken} {
		got := a.must("POST", "/temporary-table-credentials", bearer, ask("READ"))
		location := v["storage_location"].(string)
		if got["url"] != location || !strings.HasPrefix(location, "file:///") || !strings.HasSuffix(location, "/a%20l%C3%A4ke/main/default/t") {
			t.Errorf("url %v, storage_location %s", got["url"], location)
		}
		if end := time.UnixMilli(int64(got["expiration_time"].(float64))); time.Until(end) < 50*time.Minute || time.Until(end) > 70*time.Minute {
			t.Errorf("it lasts until %v", end)
		}
		if aws := got["aws_temp_credentials"].(map[string]any); aws["access_key_id"] != "" || aws["secret_access_key"] != "" || aws["session_token"] != "" {
			t.Errorf("got %v", got)
		}
	}
	a.refused("POST", "/temporary-table-credentials", reader, ask("READ_WRITE"), 403, "PERMISSION_DENIED", "MODIFY")
	a.refused("POST", "/temporary-table-credentials", writer, ask("READ"), 403, "PERMISSION_DENIED", "SELECT")
	if code, _ := a.do("POST", "/api/2.0/unity-catalog/temporary-table-credentials", reader, ask("READ")); code != http.StatusOK {
		t.Errorf("at the older path: %d", code)
	}
}

func TestUnity_Permissions(t *testing.T) {
	a := newAPI(t)
	a.sql("CREATE TABLE main.default.t (id BIGINT)")
	p, seeing := a.principal("p", "USE CATALOG ON CATALOG main", "ALL PRIVILEGES ON SCHEMA main.default", "SELECT ON TABLE main.default.t")
	q, _ := a.principal("q", "MODIFY ON TABLE main.default.t")
	const path = "/permissions/table/main.default.t"
	show := func(path, bearer string) string {
		return fmt.Sprint(a.must("GET", path, bearer, "")["privilege_assignments"])
	}
	one := func(id, privileges string) string { return "map[principal:" + id + " privileges:[" + privileges + "]]" }
	both := []string{one(p, "SELECT"), one(q, "MODIFY")}
	if p > q {
		both[0], both[1] = both[1], both[0]
	}
	for _, c := range []struct{ path, bearer, want string }{
		{path, adminToken, "[" + strings.Join(both, " ") + "]"},
		{path + "?principal=Q", adminToken, "[" + one(q, "MODIFY") + "]"},
		{path, seeing, "[" + one(p, "SELECT") + "]"},
		{path + "?principal=" + p, seeing, "[" + one(p, "SELECT") + "]"},
		{"/permissions/SCHEMA/main.default", seeing, "[" + one(p, "ALL PRIVILEGES") + "]"},
		{"/permissions/catalog/main", seeing, "[" + one(p, "USE CATALOG") + "]"},
		{"/effective-permissions/table/main.default.t?principal=p", adminToken, "[map[principal:" + p + " privileges:[" +
			"map[inherited_from_name:main.default inherited_from_type:SCHEMA privilege:ALL PRIVILEGES] map[privilege:SELECT]]]]"},
	} {
		if got := show(c.path, c.bearer); got != c.want {
			t.Errorf("%s: %s, want %s", c.path, got, c.want)
		}
	}
	a.refused("GET", path+"?principal="+q, seeing, "", 403, "PERMISSION_DENIED")
	a.refused("GET", path+"?principal=nobody", seeing, "", 403, "PERMISSION_DENIED")
	a.refused("GET", path+"?principal=nobody", adminToken, "", 404, "RESOURCE_DOES_NOT_EXIST")

	change := func(changes string) string { return `{"changes":[` + changes + `]}` }
	got := fmt.Sprint(a.must("PATCH", path, adminToken, change(`{"principal":"p","add":["MODIFY"],"remove":["select"]},{"principal":"`+q+`","remove":["MODIFY"]},{"principal":"q","add":[],"remove":[]}`))["privilege_assignments"])
	if got != "["+one(p, "MODIFY")+"]" {
		t.Errorf("got %s", got)
	}
	// All or nothing.
	for changes, words := range map[string]string{
		`{"principal":"p","remove":["MODIFY"]},{"principal":"ghost","add":["SELECT"]}`: "ghost",
	} {
		a.refused("PATCH", path, adminToken, change(changes), 404, "RESOURCE_DOES_NOT_EXIST", words)
	}
	for changes, words := range map[string]string{
		`{"principal":"p","remove":["MODIFY"]},{"principal":"q","add":["FLY"]}`:         "FLY",
		`{"principal":"p","remove":["MODIFY"]},{"principal":"q","add":["USE CATALOG"]}`: "USE CATALOG cannot be granted on a table",
		`{"principal":"p","add":["SELECT"],"remove":["SELECT"]}`:                        "SELECT",
	} {
		a.refused("PATCH", path, adminToken, change(changes), 400, "INVALID_PARAMETER_VALUE", words)
	}
	if got := show(path, adminToken); got != "["+one(p, "MODIFY")+"]" {
		t.Errorf("after refusals: %s", got)
	}
	// Databricks' clients know underscores only.
	a.agent = "databricks-sdk-py/0.162.0 python/3.11"
	a.must("PATCH", "/permissions/schema/main.default", adminToken, change(`{"principal":"q","add":["USE_SCHEMA","CREATE_TABLE"]}`))
	if got := show("/permissions/schema/main.default?principal=q", adminToken); got != "["+one(q, "USE_SCHEMA CREATE_TABLE")+"]" {
		t.Errorf("got %s", got)
	}
}
