package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// early is a refusal that comes before the request is sent: the client may not get to see it.
const early = "|0 .*(reset|broken pipe|closed)"

var webAttacks = []attack{
	{name: "web: paths", run: func(t *trial) {
		// Whatever is asked for, nothing of the file system comes back, and nothing without a token.
		secret := t.server.adminToken
		odd := []string{
			"/", "//", "/..", "/../../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc%2fpasswd", "/%2e%2e%5c%2e%2e%5cwindows", "/data/admin.token", "/admin.token", "/.git/config", "/debug/pprof/", "/debug/vars", "/metrics/../admin.token", "/health/../admin.token",
			tablesPath, tablesPath + "..", tablesPath + "../../../../etc/passwd", tablesPath + "%2e%2e%2f%2e%2e%2fetc%2fpasswd", tablesPath + "main.default.target%00", tablesPath + "main.default.target/../secret", tablesPath + "main.default.target%2f..%2fsecret", tablesPath + "main.default.%ff%fe",
			tablesPath + "main.default.'", tablesPath + "`main`.`default`.`secret`", tablesPath + "main.default.secret;DROP%20TABLE%20main.default.control", tablesPath + strings.Repeat("a", 20_000), tablesPath + "main.default.%F0%9F%92%A9", tablesPath + "MAIN.DEFAULT.SECRET", tablesPath + "main..secret", tablesPath + "main.default.secret.x",
			"/api/2.1/unity-catalog/", "/api/2.1/unity-catalog/../../../etc/passwd", "/api/zerobus/v1/", "/%00", "/\xff\xfe", "/health%00", "/healthz/..;/metrics", "http://evil.example/health", "*",
		}
		for _, path := range odd {
			for _, auth := range []string{"", "Authorization: Bearer " + t.bareToken} {
				got := t.ask("GET", path, "", "X-Forwarded-For: 127.0.0.1", cmp.Or(auth, "X-None: 1"))
				t.refuse(fmt.Sprintf("GET %.60q", path), got, "http (3..|4..)|closed|http 200 {\"status\":\"ok\"}")
				if strings.Contains(got, secret) || strings.Contains(got, "root:") {
					t.fault("GET %.60q shows what it must not", path)
				}
			}
		}
	}},
	{name: "web: methods and versions", run: func(t *trial) {
		for _, path := range []string{tokenURL, tablesPath + targetTable, "/health", "/healthz", "/readyz", "/metrics", adminPrefix + "sql"} {
			for _, m := range []string{"PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PROPFIND", "EVIL", strings.Repeat("A", 30_000)} {
				t.refuse(fmt.Sprintf("%.20s %s", m, path), t.ask(m, path, ""), "http (4..|501)|closed")
			}
		}
		for what, text := range map[string]string{
			"HTTP/0.9": "GET /health\r\n\r\n", "HTTP/9.9": "GET /health HTTP/9.9\r\nHost: x\r\n\r\n", "no host": "GET /health HTTP/1.1\r\n\r\n", "two hosts": "GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "spaces in the request line": "GET  /health  HTTP/1.1\r\nHost: x\r\n\r\n",
			"a header without colon": "GET /health HTTP/1.1\r\nHost: x\r\nevil\r\n\r\n", "space before the colon": "GET /health HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\n", "NUL in a header": "GET /health HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n", "SMTP": "EHLO x\r\n\r\n", "binary": strings.Repeat("\x00\xff", 1000) + "\r\n\r\n",
			"a request line of 1 MiB": "GET /" + strings.Repeat("a", 1<<20) + " HTTP/1.1\r\nHost: x\r\n\r\n", "headers of 1 MiB": "GET /health HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X: "+strings.Repeat("a", 1000)+"\r\n", 1000) + "\r\n", "the preface of HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		} {
			t.refuse(what, t.raw(t.server.http, text), "http (400|404|405|431|505)|closed")
		}
	}},
	{name: "web: bodies", run: func(t *trial) {
		start := "POST " + tokenURL + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
		for what, text := range map[string]string{
			"length and chunks": start + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "two lengths": start + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", "a negative length": start + "Content-Length: -1\r\n\r\n", "a length of 2^64": start + "Content-Length: 18446744073709551616\r\n\r\n", "length +5": start + "Content-Length: +5\r\n\r\nabcde",
			"chunk of 2^64": start + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", "chunk size that is none": start + "Transfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n0\r\n\r\n", "chunk extension of 100 KiB": start + "Transfer-Encoding: chunked\r\n\r\n1;" + strings.Repeat("a", 100<<10) + "\r\nx\r\n0\r\n\r\n", "chunked twice": start + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", "unknown transfer encoding": start + "Transfer-Encoding: evil\r\n\r\n0\r\n\r\n",
			"1 MiB in chunks of a byte": start + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1\r\na\r\n", 1<<20) + "0\r\n\r\n",
		} {
			t.refuse(what, t.raw(t.server.http, text), "http (4..|501)|closed")
		}
		for path, auth := range map[string]string{tokenURL: "", adminPrefix + "sql": "Bearer " + t.server.adminToken} {
			code, body := t.server.do(t.ctx, http.MethodPost, path, auth, "application/x-www-form-urlencoded", make([]byte, 8<<20))
			t.refuse("8 MiB for "+path, fmt.Sprintf("http %d %s", code, body), "http (400|413|0 .*(reset|broken pipe|closed))")
		}
		// 100 requests on one connection before the first answer is read.
		text := strings.Repeat("GET /health HTTP/1.1\r\nHost: x\r\n\r\n", 99) + "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
		nc := t.dial(t.server.http)
		if nc == nil {
			return
		}
		_ = nc.SetDeadline(time.Now().Add(answerTime))
		_, _ = io.WriteString(nc, text) // the answers tell
		b, err := io.ReadAll(nc)
		if n := strings.Count(string(b), "HTTP/1.1 200"); err != nil || n != 100 {
			t.fault("100 requests at once: %d answers, %v", n, err)
		}
		t.sent(100)
	}},
	{name: "web: the catalog", run: func(t *trial) {
		// A principal with grants on some tables tries to get at others, and to become more than it is.
		const api = "/api/2.1/unity-catalog/"
		asks := func(method, path, body, token string) string {
			return t.ask(method, api+path, body, "Authorization: Bearer "+token, "Content-Type: application/json")
		}
		table := func(name, more string) string {
			return `{"name":"` + name + `","catalog_name":"main","schema_name":"default","table_type":"MANAGED","data_source_format":"DELTA","columns":[{"name":"n","type_name":"INT","type_text":"int","type_json":"\"integer\"","position":0}]` + more + `}`
		}
		grantAll := `{"changes":[{"principal":"` + t.attacker.ID + `","add":["ALL PRIVILEGES","SELECT","MODIFY"]}]}`
		owner := `{"owner":"` + t.attacker.ID + `"}`
		for _, tt := range [][3]string{
			{"POST", "catalogs", `{"name":"evil"}`},
			{"POST", "schemas", `{"name":"evil","catalog_name":"main"}`},
			{"POST", "tables", table("evil", "")},
			{"PATCH", "catalogs/main", owner},
			{"PATCH", "schemas/main.default", owner},
			{"DELETE", "catalogs/main?force=true", ""},
			{"DELETE", "schemas/main.default?force=true", ""},
			{"DELETE", "tables/" + controlTable, ""},
			{"DELETE", "tables/" + targetTable, ""},
			{"DELETE", "tables/" + secretTable, ""},
			{"PATCH", "permissions/table/" + secretTable, grantAll},
			{"PATCH", "permissions/table/" + targetTable, grantAll},
			{"PATCH", "permissions/schema/main.default", grantAll},
			{"PATCH", "permissions/catalog/main", grantAll},
			{"PATCH", "permissions/metastore/main", grantAll},
			{"GET", "permissions/table/" + secretTable, ""},
			{"GET", "effective-permissions/table/" + controlTable, ""},
			{"POST", "temporary-table-credentials", `{"table_id":"00000000-0000-4000-8000-000000000000","operation":"READ_WRITE"}`},
			{"POST", "temporary-table-credentials", `{"table_id":"../../etc","operation":"READ"}`},
			{"GET", "tables?catalog_name=main&schema_name=default&max_results=-1", ""},
			{"GET", "tables?catalog_name=..&schema_name=..", ""},
			{"GET", "tables?catalog_name=main&schema_name=default&page_token=" + strings.Repeat("a", 5000), ""},
			{"GET", "schemas?catalog_name=%00", ""},
		} {
			t.refuse(strings.Join(tt[:2], " "), asks(tt[0], tt[1], tt[2], t.bareToken), "http 4")
			t.refuse(strings.Join(tt[:2], " ")+" with a token for streams", asks(tt[0], tt[1], tt[2], t.token), "http 401")
			t.refuse(strings.Join(tt[:2], " ")+" without a token", asks(tt[0], tt[1], tt[2], ""), "http 401")
		}
		if got := asks("GET", "tables?catalog_name=main&schema_name=default", "", t.bareToken); !strings.HasPrefix(got, "http 200") || strings.Contains(got, "secret") || strings.Contains(got, "control") {
			t.fault("the list of tables shows tables without grants: %s", got)
		}
		// The administrator's own programs hand on names and places from others.
		admin := t.server.adminToken
		outside := filepath.Join(t.server.dir, "outside")
		for _, place := range []string{outside, "file://" + outside, "..", "../../outside", "s3://evil/x", "/etc", "file:///"} {
			for _, kind := range []string{"EXTERNAL", "MANAGED"} {
				body := strings.Replace(table("placed", `,"storage_location":"`+place+`"`), "MANAGED", kind, 1)
				t.refuse("a "+kind+" table at "+place, asks("POST", "tables", body, admin), "http 4")
			}
		}
		if _, err := os.Lstat(outside); err == nil {
			t.fault("%s is there", outside)
		}
		for _, name := range oddNames {
			b, err := json.Marshal(name)
			if err != nil {
				t.fault("%v", err)
				return
			}
			in := string(b[1 : len(b)-1])
			t.refuse("table "+name, asks("POST", "tables", table(in, ""), admin), "http 4")
			t.refuse("schema "+name, asks("POST", "schemas", `{"name":"`+in+`","catalog_name":"main"}`, admin), "http 4")
			t.refuse("catalog "+name, asks("POST", "catalogs", `{"name":"`+in+`"}`, admin), "http 4")
		}
		for what, body := range map[string]string{
			"nothing": "", "no JSON": "evil", "a list": "[]", "null": "null", "deep": nested(`{"columns":[`, 5000), "two objects": table("evil", "") + table("evil", ""), "a name that is a number": strings.Replace(table("x", ""), `"x"`, "7", 1), "no columns": strings.Replace(table("x", ""), `{"name":"n"`, `{"name":""`, 1),
			"100,000 columns": strings.Replace(table("x", ""), `"columns":[`, `"columns":[`+strings.Repeat(`{"name":"c"},`, 100_000), 1), "5 MiB": table(strings.Repeat("x", 5<<20), ""), "a type that is deep": strings.Replace(table("x", ""), `\"integer\"`, nested(`{\"type\":`, 10_000), 1),
			"1,000 properties": table("x", `,"properties":{`+strings.Repeat(`"p":"v",`, 1000)+`"delta.columnMapping.maxColumnId":"1"}`), "an owner that is not there": table("x", `,"storage_location":"/x","owner":"nobody"`),
		} {
			t.refuse("a table of "+what, asks("POST", "tables", body, admin), "http (4"+early+")")
		}
	}},
	{name: "web: administration without its token", run: func(t *trial) {
		for _, op := range []string{"sql", "principal/create", "principal/rotate", "principal/delete", "principal/list", "table/list", "table/describe", "table/head", "table/history", "table/flush", "token-keys/rotate", "", "evil", "../admin/sql", "sql/..", "%2e%2e/sql"} {
			for what, auth := range map[string]string{
				"none": "", "empty": "Bearer ", "wrong": "Bearer " + strings.Repeat("0", 64), "access token": "Bearer " + t.token, "without its end": "Bearer " + t.server.adminToken[:63], "with more": "Bearer " + t.server.adminToken + "0", "without Bearer": t.server.adminToken,
				"upper case": "Bearer " + strings.ToUpper(t.server.adminToken), "Basic": "Basic " + t.server.adminToken, "forged": "Bearer " + t.forger.token(forgery{claims: map[string]any{"sub": "admin"}}), "60 KiB": "Bearer " + strings.Repeat("a", 60<<10),
			} {
				h := "Authorization: " + auth
				if auth == "" {
					h = "X-None: 1"
				}
				t.refuse(op+" with token "+what, t.ask("POST", adminPrefix+op, `{"script":"DROP TABLE `+controlTable+`","principal":"evil"}`, h), "http (401|403|404|301|307|308)")
			}
		}
		t.refuse("the token in the query", t.ask("POST", adminPrefix+"sql?access_token="+t.server.adminToken, `{"script":"SHOW TABLES"}`), "http 401")
		t.refuse("the token in a cookie", t.ask("POST", adminPrefix+"sql", `{"script":"SHOW TABLES"}`, "Cookie: token="+t.server.adminToken), "http 401")
	}},
}

// oddNames are parts of names that are none.
var oddNames = []string{
	"..", ".", "", " ", "../../etc/passwd", "..\\..\\windows", "/etc/passwd", "a/b", "a\\b", "a b", "a;b", "a'b", `a"b`, "a-b", "a%2fb", "a\x00b", "a\nb", "a\tb", "\x7f", "\u202e", "ä", "日本", "\U0001f4a9", "ſ", "\u212a", "a\u0301", "\xff\xfe", "con:", "~", "$HOME", "`id`", "$(id)", "${x}", "*", "?", strings.Repeat("a", 256), strings.Repeat("../", 100),
}

// quoted is a name as SQL has it, whatever is in it.
func quoted(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

var sqlAttacks = []attack{
	{name: "sql: names", run: func(t *trial) {
		// An operator's script may have names from others in it.
		for _, name := range oddNames {
			q := quoted(name)
			for _, script := range []string{
				"CREATE TABLE main.default." + q + " (n INT) USING DELTA", "CREATE TABLE main." + q + ".t (n INT)", "CREATE TABLE " + q + ".default.t (n INT)", "CREATE SCHEMA main." + q, "CREATE CATALOG " + q, "DROP TABLE main.default." + q, "DROP SCHEMA main." + q + " CASCADE", "DROP CATALOG " + q + " CASCADE", "SHOW TABLES IN main." + q,
				"GRANT SELECT ON TABLE main.default." + q + " TO attacker", "GRANT SELECT ON TABLE " + targetTable + " TO " + q, "DESCRIBE main.default." + q,
			} {
				t.refuse(script, t.sqlAnswer(script), "http (400|404)")
			}
			for _, op := range []string{"table/describe", "table/head", "table/history", "table/flush"} {
				code, body := t.server.admin(t.ctx, op, map[string]any{"table": "main.default." + name, "limit": 1})
				t.refuse(op+" "+name, fmt.Sprintf("http %d %s", code, body), "http (400|404)")
			}
			code, body := t.server.admin(t.ctx, "principal/delete", map[string]string{"principal": name})
			t.refuse("delete principal "+name, fmt.Sprintf("http %d %s", code, body), "http (400|404)")
		}
	}},
	{name: "sql: places", run: func(t *trial) {
		outside := filepath.Join(t.server.dir, "outside")
		for _, place := range []string{"..", "../../outside", outside, "file://" + outside, "file:/" + outside, "/etc", "s3://evil/x", "C:\\evil", "\\\\evil\\x", "data/tables/../../outside", ".", ""} {
			p := "'" + place + "'"
			for _, script := range []string{
				"CREATE TABLE main.default.placed (n INT) USING DELTA LOCATION " + p, "CREATE SCHEMA main.placed MANAGED LOCATION " + p, "CREATE CATALOG placed MANAGED LOCATION " + p, "CREATE TABLE main.default.placed (n INT) LOCATION " + p + " TBLPROPERTIES ('a' = 'b')", "CREATE TABLE delta.`" + place + "` (n INT)",
				"CREATE EXTERNAL TABLE main.default.placed (n INT) LOCATION " + p, "CREATE TABLE main.default.placed (n INT) TBLPROPERTIES ('delta.location' = " + p + ")",
			} {
				t.refuse(script, t.sqlAnswer(script), "http (400|404)")
			}
		}
		if _, err := os.Lstat(outside); err == nil {
			t.fault("%s is there", outside)
		}
	}},
	{name: "sql: statements", run: func(t *trial) {
		for what, script := range map[string]string{
			"no statement": "evil", "SELECT": "SELECT * FROM main.default.secret", "INSERT": "INSERT INTO " + controlTable + " VALUES (1, 1)", "ALTER": "ALTER TABLE " + controlTable + " DROP COLUMN n", "ALTER NOT NULL": "ALTER TABLE " + controlTable + " ADD COLUMN x INT NOT NULL", "a string without end": "CREATE TABLE main.default.x (n INT) COMMENT 'evil", "a comment without end": "/* " + strings.Repeat("/*", 10_000),
			"a name without end": "DROP TABLE `main", "NUL": "SHOW TABLES\x00", "not UTF-8": "SHOW \xff\xfe", "types deep": "CREATE TABLE main.default.x (n " + strings.Repeat("ARRAY<", 20_000) + "INT" + strings.Repeat(">", 20_000) + ")", "structs deep": "CREATE TABLE main.default.x (n " + strings.Repeat("STRUCT<a:", 10_000) + "INT", "brackets": strings.Repeat("(", 200_000),
			"10,000 columns": "CREATE TABLE main.default.x (c0 INT" + columns(10_000) + ")", "a column twice": "CREATE TABLE main.default.x (n INT, N INT)", "a column without a name": "CREATE TABLE main.default.x (`` INT)", "a precision of 10^9": "CREATE TABLE main.default.x (n DECIMAL(1000000000, 1))", "a length of 2^64": "CREATE TABLE main.default.x (n VARCHAR(18446744073709551616))",
			"a comment of 100 KiB": "CREATE SCHEMA main.x COMMENT '" + strings.Repeat("c", 100<<10) + "'", "1,000 properties": "CREATE TABLE main.default.x (n INT) TBLPROPERTIES ('p' = 'v'" + strings.Repeat(", 'q' = 'v'", 1000) + ")", "a property of Delta": "CREATE TABLE main.default.x (n INT) TBLPROPERTIES ('delta.columnMapping.maxColumnId' = '1')",
			"the catalog of the honest, half way": "DROP TABLE " + controlTable + "; evil",
			"255 KiB of spaces and one letter":    strings.Repeat(" ", 255<<10) + "x",
		} {
			t.refuse(what, t.sqlAnswer(script), "http (400|404|413"+early+")")
		}
		t.refuse("1 MiB", t.sqlAnswer(strings.Repeat("SHOW TABLES; ", 1<<20/13)), "http (400|413|0 )")
		t.refuse("2 MiB in one string", t.sqlAnswer("CREATE SCHEMA main.x COMMENT '"+strings.Repeat("c", 2<<20)+"'"), "http (400|413|0 )")
		n := t.size(10_000)
		t.take("10,000 statements", t.sqlAnswer(strings.Repeat("SHOW CATALOGS;", n)), "http 200")
		t.sent(n - 1)
		for what, body := range map[string]string{"no JSON": "evil", "a list": "[]", "deep": nested(`{"script":`, 20_000), "two scripts": `{"script":"evil","script":"evil"}`, "a number": `{"script":1}`, "a limit of 10^30": `{"table":"` + targetTable + `","limit":1e30}`} {
			code, answer := t.server.do(t.ctx, http.MethodPost, adminPrefix+"sql", "Bearer "+t.server.adminToken, "application/json", []byte(body))
			t.refuse("a request that is "+what, fmt.Sprintf("http %d %s", code, answer), "http (400"+early+")")
		}
		for _, limit := range []int{-1, 0, 1 << 40} {
			for _, op := range []string{"table/head", "table/history"} {
				code, answer := t.server.admin(t.ctx, op, map[string]any{"table": strictTable, "limit": limit})
				t.take(fmt.Sprintf("%s with limit %d", op, limit), fmt.Sprintf("http %d %.100s", code, answer), "http (200|400)")
			}
		}
		// Names that are odd and allowed: those of principals, which are no paths.
		for i, name := range []string{"a b", "a'b", "a`b", "../x", "ä", "<script>", strings.Repeat("n", 200), "%s%s%n", "a\nb", "a\x00b", strings.Repeat("n", 100_000)} {
			c, err := t.server.principal(t.ctx, name)
			if err != nil {
				t.refuse(fmt.Sprintf("principal %.20q", name), err.Error(), "create principal .*: (400|409|413|0) ")
				continue
			}
			t.sent(1)
			t.take("a grant to a principal with an odd name", t.sqlAnswer("GRANT SELECT ON TABLE "+strictTable+" TO "+quoted(name)), "http 200")
			if code, body := t.server.admin(t.ctx, "principal/delete", map[string]string{"principal": c.ID}); code != http.StatusOK {
				t.fault("delete principal %d: %d %s", i, code, body)
			}
		}
		var list []any
		if _, body := t.server.admin(t.ctx, "table/list", map[string]string{}); json.Unmarshal([]byte(body), &list) != nil || len(list) != 5 {
			t.fault("afterwards there are %d tables, before it were 5", len(list))
		}
	}},
	{name: "sql: tables come and go", slow: true, run: func(t *trial) {
		// Streams to a table that is dropped and made again and again: none may write into another table's files.
		p := t.peer()
		for i := range t.size(100) {
			if err := t.server.must(t.ctx, "CREATE TABLE main.default.mayfly (n BIGINT, text STRING) USING DELTA; GRANT SELECT, MODIFY ON TABLE main.default.mayfly TO `"+t.attacker.ID+"`"); err != nil {
				t.fault("%v", err)
				return
			}
			token, err := t.server.login(t.ctx, t.attacker, "main.default.mayfly")
			if err != nil {
				t.fault("%v", err)
				return
			}
			c := t.created(t.call(p, token, "main.default.mayfly"), createJSON("main.default.mayfly"))
			if c == nil {
				return
			}
			ctx, cancel := t.soon()
			if err := c.message(ctx, one(0, good(i))); err != nil {
				t.fault("%v", err)
			}
			if err := t.server.must(ctx, "DROP TABLE main.default.mayfly"); err != nil {
				t.fault("%v", err)
			}
			t.refuse("records for a table that is gone", t.ends(c, false, one(1, good(i))), "grpc NotFound")
			cancel()
		}
	}},
}

func columns(n int) string {
	var b strings.Builder
	for i := 1; i < n; i++ {
		fmt.Fprintf(&b, ",c%d INT", i)
	}
	return b.String()
}
