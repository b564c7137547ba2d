package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// producer are the headers of a stream that names its producer.
func producer(id, session, try, first string) (h []string) {
	for _, f := range [][2]string{{"id", id}, {"session", session}, {"try", try}, {"first", first}} {
		if f[1] != "" {
			h = append(h, "x-zerobus-producer-"+f[0], f[1])
		}
	}
	return h
}

const session = "00000000-0000-4000-8000-00000000000a"

var producerAttacks = []attack{
	{name: "producers: headers", run: func(t *trial) {
		p := t.peer()
		for _, tt := range [][4]string{
			{strings.Repeat("a", 129)},
			{strings.Repeat("a", 60_000)},
			{"a b"},
			{"a\x00"},
			{"ä"},
			{"a;b"},
			{"%2e%2e"},
			{"`a`"},
			{"a\\b"},
			{"\xff"},
			{"a", "not-a-uuid"},
			{"a", strings.ToUpper(session)},
			{"a", "{" + session + "}"},
			{"a", "urn:uuid:" + session},
			{"a", session, "-1"},
			{"a", session, "01"},
			{"a", session, "1e3"},
			{"a", session, "9223372036854775807"},
			{"a", session, strings.Repeat("9", 1000)},
			{"a", session, "0", "-1"},
			{"a", session, "0", "+1"},
			{"a", session, "0", "0x1"},
			{"a", session, "0", "4611686018427387904"},
		} {
			got := t.ends(t.call(p, t.token, targetTable, producer(tt[0], tt[1], tt[2], tt[3])...), false)
			t.refuse(fmt.Sprintf("producer %.40q", tt), got, "grpc InvalidArgument .*malformed|rst|http 4|goaway")
			if p.ended() {
				p = t.peer()
			}
		}
		t.refuse("a producer without a table", t.ends(t.call(p, t.token, "", producer("a", "", "", "")...), false), "grpc InvalidArgument .*header")
		t.refuse("a producer of a table without grants", t.ends(t.call(p, t.token, secretTable, producer("a", "", "", "")...), false), "grpc PermissionDenied")
		t.refuse("a producer of no table", t.ends(t.call(p, t.token, "main.default.nothing", producer("a", "", "", "")...), false), "grpc (PermissionDenied|NotFound)")
		c := t.stream(p, targetTable, producer("a:/.._@-", session, "1", "")...)
		t.refuse("a first_record below zero", t.ends(c, false, []byte{0xc0, 0x3e, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, one(0, bad(0))), "grpc InvalidArgument")
		c = t.stream(p, targetTable, producer("b", session, "1", "")...)
		t.refuse("numbers that overflow", t.ends(c, false, append(first(4611686018427387903), one(0, bad(0))...)), "grpc InvalidArgument .*beyond")
		c = t.stream(p, targetTable, producer("c", session, "1", "")...)
		t.refuse("numbers that go back", t.ends(c, false, append(first(10), one(0, good(0))...), append(first(5), one(1, bad(1))...)), "grpc InvalidArgument .*first_record")
		c = t.stream(p, targetTable, producer("d", session, "7", "")...)
		t.refuse("an earlier try of the session", t.ends(t.call(p, t.token, targetTable, producer("d", session, "6", "0")...), false), "grpc Aborted")
		t.take("the later one goes on", t.ends(c, true, one(0, good(0))), "grpc OK")
		t.refuse("a session that is not the last", t.ends(t.call(p, t.token, targetTable, producer("d", "00000000-0000-4000-8000-00000000000b", "1", "0")...), false), "grpc Aborted")
	}},
	{name: "producers: takeover ping-pong", run: func(t *trial) {
		p, q := t.peer(), t.peer()
		if p == nil || q == nil {
			return
		}
		n := t.size(1000)
		var last *call
		for i := range n {
			conn := p
			if i%2 == 1 {
				conn = q
			}
			c := t.stream(conn, targetTable, producer("pingpong", "", "", "")...)
			if c == nil {
				return
			}
			if last != nil {
				ctx, cancel := t.soon()
				t.refuse("taken over", last.outcome(ctx), "grpc Aborted")
				cancel()
			}
			last = c
		}
		t.take("the last one goes on", t.ends(last, true, one(0, good(0))), "grpc OK")
		// All at once.
		var all sync.WaitGroup
		var kept atomic.Int64
		for range 50 {
			all.Go(func() {
				got := t.ends(t.call(p, t.token, targetTable, producer("crowd", "", "", "")...), true, createJSON(targetTable), one(0, good(0)))
				if strings.HasPrefix(got, "grpc OK") {
					kept.Add(1)
				}
				t.take("one of a crowd", got, "grpc (OK|Aborted)")
			})
		}
		all.Wait()
		if kept.Load() == 0 {
			t.fault("of 50 streams of one producer at once none went on")
		}
	}},
	{name: "producers: flood of ids", run: func(t *trial) {
		// Each id that writes is remembered for days, up to 100,000 a table. Those that write nothing are not.
		p := t.peer()
		if p == nil {
			return
		}
		known := t.server.metric(t.ctx, "zerobus_producers_known")
		n := t.size(5000)
		var all sync.WaitGroup
		for k := range 20 {
			all.Go(func() {
				for i := range n / 20 {
					id := fmt.Sprintf("flood/%d/%d", k, i)
					t.take("a producer that writes nothing", t.ends(t.call(p, t.token, targetTable, producer(id, "", "", "")...), true, createJSON(targetTable)), "grpc OK")
				}
			})
		}
		all.Wait()
		if now := t.server.metric(t.ctx, "zerobus_producers_known"); now > known {
			t.fault("%d producers that wrote nothing are remembered: %g are known, before it were %g", n, now, known)
		}
	}},
}

// first is the field first_record.
func first(n uint64) []byte {
	b := []byte{0xc0, 0x3e}
	for ; n > 127; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

func (p *peer) ended() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err != nil || p.goAway != nil
}

// tokens are those that must not open a stream, by what is wrong with them.
func (t *trial) tokens() map[string]string {
	f, now := t.forger, time.Now().Unix()
	_, other, _ := ed25519.GenerateKey(nil) // never fails
	dots := strings.Split(t.token, ".")
	claims := func(c map[string]any) string { return f.token(forgery{claims: c}) }
	header := func(h map[string]any) string { return f.token(forgery{header: h}) }
	unsigned := func(h map[string]any) string {
		return f.token(forgery{header: h, sign: func([]byte) []byte { return nil }})
	}
	m := map[string]string{
		"none": "", "space": " ", "one dot": ".", "two dots": "..", "three dots": t.token + ".", "garbage": "garbage", "without signature": dots[0] + "." + dots[1] + ".", "without claims": dots[0] + ".." + dots[2],
		"alg none": unsigned(map[string]any{"alg": "none"}), "alg None": unsigned(map[string]any{"alg": "None"}), "no alg": header(map[string]any{"alg": nil}), "alg empty": header(map[string]any{"alg": ""}), "alg is a number": header(map[string]any{"alg": 7}), "alg ES256": header(map[string]any{"alg": "ES256"}),
		"HS256 with the public key":        f.token(forgery{header: map[string]any{"alg": "HS256"}, sign: hs256(f.public())}),
		"HS256 with the public key's file": f.token(forgery{header: map[string]any{"alg": "HS256"}, sign: hs256(f.pkix())}),
		"HS256 with nothing":               f.token(forgery{header: map[string]any{"alg": "HS256"}, sign: hs256(nil)}),
		"EdDSA label on HS256":             f.token(forgery{sign: hs256(f.public())}),
		"another key":                      f.token(forgery{sign: func(b []byte) []byte { return ed25519.Sign(other, b) }}),
		"another key with its jwk":         f.token(forgery{header: map[string]any{"jwk": map[string]any{"kty": "OKP", "crv": "Ed25519", "x": base64.RawURLEncoding.EncodeToString(other.Public().(ed25519.PublicKey))}}, sign: func(b []byte) []byte { return ed25519.Sign(other, b) }}),
		"another key by its URL":           f.token(forgery{header: map[string]any{"jku": "http://127.0.0.1:1/keys", "x5u": "file:///etc/passwd"}, sign: func(b []byte) []byte { return ed25519.Sign(other, b) }}),
		"signature of zeros":               f.token(forgery{sign: func([]byte) []byte { return make([]byte, 64) }}), "signature of 63 bytes": f.token(forgery{sign: func(b []byte) []byte { return ed25519.Sign(f.private, b)[:63] }}),
		"wrong kid": header(map[string]any{"kid": "00000000-0000-4000-8000-000000000000"}), "no kid": header(map[string]any{"kid": nil}), "kid is a path": header(map[string]any{"kid": "../../etc/passwd"}), "kid is SQL": header(map[string]any{"kid": "' OR 1=1 --"}), "critical extensions": header(map[string]any{"crit": []string{"b64"}, "b64": false}), "kid is a list": header(map[string]any{"kid": []string{f.kid}}),
		"expired": claims(map[string]any{"exp": now - 60, "iat": now - 600}), "no expiry": claims(map[string]any{"exp": nil}), "expiry is text": claims(map[string]any{"exp": "never"}), "expires in 100 years": claims(map[string]any{"exp": now + 3_153_600_000}), "expires at 1e300": claims(map[string]any{"exp": 1e300}),
		"issued tomorrow": claims(map[string]any{"iat": now + 86_400, "exp": now + 90_000}), "not before tomorrow": claims(map[string]any{"nbf": now + 86_400}), "no time of issue": claims(map[string]any{"iat": nil}), "another issuer": claims(map[string]any{"iss": "https://evil.example"}), "no issuer": claims(map[string]any{"iss": nil}),
		"no principal": claims(map[string]any{"sub": ""}), "several audiences": claims(map[string]any{"aud": []string{resource, "x"}}),
		"more than 4 KiB": claims(map[string]any{"pad": strings.Repeat("x", 5000)}), "of 60 KiB": strings.Repeat("a", 60<<10), "claims deep": dots[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(nested("[", 2000))) + "." + dots[2],
		"padding": t.token + "==", "a line break": t.token[:20] + "\n" + t.token[20:], "another first byte": "f" + t.token[1:], "doubled": t.token + " " + t.token,
	}
	for i := range 12 { // one bit of the real token
		at := (i*37 + 5) % len(t.token)
		b := []byte(t.token)
		if b[at] != '.' {
			b[at] ^= 1
			m[fmt.Sprintf("byte %d changed", at)] = string(b)
		}
	}
	return m
}

var tokenAttacks = []attack{
	{name: "tokens: forged", run: func(t *trial) {
		p := t.peer()
		for what, token := range t.tokens() {
			got := t.ends(t.call(p, token, targetTable), false, createJSON(targetTable))
			t.refuse(what, got, "grpc Unauthenticated|rst PROTOCOL_ERROR|goaway|closed|http 4")
			if strings.ContainsAny(token, "\n\x00") || p.ended() {
				p = t.peer()
			}
			if strings.ContainsAny(token, "\r\n") {
				continue
			}
			t.refuse(what+", at the catalog", t.ask("GET", tablesPath+targetTable, "", "Authorization: Bearer "+token), "http (401|431)")
		}
		for _, h := range []string{"Basic " + t.token, "Bearer", "Bearer\t" + t.token, t.token, "bearer:" + t.token, "Digest x", "Bearer Bearer " + t.token} {
			h := append(grpcHeaders("", targetTable), "authorization", h)
			c, err := p.open(true, h...)
			if err != nil {
				t.fault("%v", err)
				return
			}
			ctx, cancel := t.soon()
			t.refuse("authorization "+h[len(h)-1][:6], c.outcome(ctx), "grpc Unauthenticated")
			cancel()
		}
		c := t.call(p, t.token+"x", targetTable, "authorization", "Bearer "+t.token)
		t.refuse("a wrong token and then a right one", t.ends(c, false, createJSON(targetTable)), "grpc Unauthenticated")
	}},
	{name: "tokens: of others", run: func(t *trial) {
		p := t.peer()
		for _, tt := range []struct{ what, token, table string }{
			{"a token for another table", t.strictToken, targetTable},
			{"a token without tables", t.bareToken, targetTable},
			{"a table without grants", t.token, secretTable},
			{"a table of the honest", t.token, controlTable},
			{"a grant of a schema in a token", t.forger.token(forgery{claims: map[string]any{"authorization_details": []any{map[string]any{"type": "unity_catalog_privileges", "privileges": []string{"SELECT", "MODIFY"}, "object_type": "SCHEMA", "object_full_path": "main.default"}}}}), targetTable},
			// The server's own signature does not make a grant of what the catalog has not granted.
			{"signed grants that are not in the catalog", t.forger.token(forgery{claims: map[string]any{"authorization_details": []any{map[string]any{"type": "unity_catalog_privileges", "privileges": []string{"SELECT", "MODIFY"}, "object_type": "TABLE", "object_full_path": secretTable}}}}), secretTable},
			{"a signed token of nobody", t.forger.token(forgery{claims: map[string]any{"sub": "nobody"}}), targetTable},
			{"a signed token of another principal", t.forger.token(forgery{claims: map[string]any{"sub": t.outsider.ID}}), targetTable},
			{"a signed token of a principal's name", t.forger.token(forgery{claims: map[string]any{"sub": "attacker"}}), targetTable},
			{"a signed token of a path", t.forger.token(forgery{claims: map[string]any{"sub": "../../../etc/passwd"}}), targetTable},
		} {
			t.refuse(tt.what, t.ends(t.call(p, tt.token, tt.table), false, createJSON(tt.table), one(0, bad(0))), "grpc PermissionDenied")
		}
		// The token endpoint makes no such token.
		for _, aud := range []string{"api://databricks/workspaces/1/other", "x", resource + "/", "x" + resource} {
			token := t.forger.token(forgery{claims: map[string]any{"aud": aud}})
			t.refuse("audience "+aud, t.ends(t.call(p, token, targetTable), true, createJSON(targetTable), one(0, bad(0))), "grpc Unauthenticated")
		}
		for _, table := range []string{secretTable, "main.default.nothing"} {
			t.refuse("the catalog, table "+table, t.ask("GET", tablesPath+table, "", "Authorization: Bearer "+t.bareToken), "http 404")
		}
		t.refuse("a token for streams at the catalog", t.ask("GET", tablesPath+targetTable, "", "Authorization: Bearer "+t.token), "http 401")
	}},
	{name: "tokens: of those who are gone", run: func(t *trial) {
		gone, err := t.server.principal(t.ctx, "gone")
		if err == nil {
			err = t.server.grant(t.ctx, gone, targetTable)
		}
		if err != nil {
			t.fault("%v", err)
			return
		}
		token, err := t.server.login(t.ctx, gone, targetTable)
		if err != nil {
			t.fault("%v", err)
			return
		}
		p := t.peer()
		t.take("while it is there", t.ends(t.call(p, token, targetTable), true, createJSON(targetTable)), "grpc OK")
		if err := t.server.must(t.ctx, fmt.Sprintf("REVOKE MODIFY ON TABLE %s FROM `%s`", targetTable, gone.ID)); err != nil {
			t.fault("%v", err)
		}
		t.refuse("a revoked grant", t.ends(t.call(p, token, targetTable), false, createJSON(targetTable), one(0, bad(0))), "grpc PermissionDenied")
		if code, body := t.server.admin(t.ctx, "principal/delete", map[string]string{"principal": gone.ID}); code != http.StatusOK {
			t.fault("delete the principal: %d %s", code, body)
		}
		t.refuse("a deleted principal", t.ends(t.call(p, token, targetTable), false, createJSON(targetTable), one(0, bad(0))), "grpc (PermissionDenied|Unauthenticated)")
		t.refuse("a deleted principal at the catalog", t.ask("GET", tablesPath+targetTable, "", "Authorization: Bearer "+token), "http (401|403|404)")
		_, err = t.server.login(t.ctx, gone, targetTable)
		t.refuse("a login of a deleted principal", fmt.Sprint(err), "log in: 401")
	}},
	{name: "tokens: odd requests", run: func(t *trial) {
		const kind = "Content-Type: application/x-www-form-urlencoded"
		own := []string{"client_id", t.attacker.ID, "client_secret", t.attacker.Secret}
		with := func(more ...string) string { return form(append(own, more...)...) }
		for _, tt := range []struct{ what, body, want string }{
			{"no form", "", "http 400"},
			{"JSON", `{"grant_type":"client_credentials"}`, "http 400"},
			{"broken escapes", "grant_type=%zz&client_id=%", "http 400"},
			{"grant type password", strings.ReplaceAll(with(), "client_credentials", "password"), "http 400"},
			{"semicolons", strings.ReplaceAll(with(), "&", ";"), "http 400"},
			{"no client", form(), "http 401"},
			{"100,000 fields", strings.Repeat("a=b&", 60_000) + with(), "http (200|400)"},
			{"257 KiB", strings.Repeat("a", 257<<10), "http (400|413)"},
			{"details that are no JSON", with("authorization_details", "evil"), "http 401"},
			{"details that are an object", with("authorization_details", "{}"), "http 401"},
			{"details deep", with("authorization_details", nested("[", 80_000)), "http 401"},
			{"details deep in an object", with("authorization_details", nested(`[{"privileges":`, 5000)), "http 401"},
			{"10,000 details", with("authorization_details", "["+strings.Repeat(`{},`, 9999)+"{}]"), "http 401"},
			{"details of 10,000 privileges", with("authorization_details", `[{"type":"unity_catalog_privileges","object_type":"TABLE","object_full_path":"`+targetTable+`","privileges":[`+strings.Repeat(`"MODIFY",`, 9999)+`"MODIFY"]}]`), "http 401"},
			{"another type", with("authorization_details", `[{"type":"evil"}]`), "http 401"},
			{"an unknown privilege", with("authorization_details", `[{"type":"unity_catalog_privileges","object_type":"TABLE","object_full_path":"`+targetTable+`","privileges":["ROOT"]}]`), "http 401"},
			{"a table without grants", with("authorization_details", details(secretTable)), "http 401"},
			{"no such table", with("authorization_details", details("main.default.nothing")), "http 401"},
			{"a path", with("authorization_details", details("main.default.../../x")), "http 401"},
			{"a name with NUL", with("authorization_details", details("main.default.target\x00")), "http 401"},
			{"a resource too large for a token", with("resource", strings.Repeat("a", 5000)), "http 400"},
			{"a resource with line breaks", with("resource", "a\r\nX-Evil: 1"), "http 400"},
			{"another resource", with("resource", "api://databricks/workspaces/1/other"), "http 400"},
			{"two resources", with("resource", resource) + "&resource=" + resource, "http 400"},
		} {
			got := t.ask("POST", tokenURL, tt.body, kind)
			if strings.HasPrefix(tt.want, "http (200") {
				t.take(tt.what, got, tt.want)
			} else {
				t.refuse(tt.what, got, tt.want)
			}
		}
		for _, content := range []string{"text/plain", "multipart/form-data; boundary=x", "application/json", "", "application/x-www-form-urlencoded; charset=\""} {
			t.refuse("content type "+content, t.ask("POST", tokenURL, with(), "Content-Type: "+content), "http 4")
		}
	}},
}

var loginAttacks = []attack{
	{name: "logins: odd", run: func(t *trial) {
		basic := func(text string) string {
			return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(text))
		}
		for what, h := range map[string]string{
			"no base64": "Authorization: Basic %%%", "no colon": basic("attacker"), "nothing": basic(""), "empty secret": basic(t.attacker.ID + ":"), "empty client": basic(":" + t.attacker.Secret), "NUL": basic(t.attacker.ID + "\x00:" + t.attacker.Secret), "not UTF-8": basic("\xff\xfe:\xff"),
			"a secret of 30 KiB": basic(t.attacker.ID + ":" + strings.Repeat("s", 30<<10)), "a client of 30 KiB": basic(strings.Repeat("c", 30<<10) + ":s"), "a name for the id": basic("attacker:" + t.attacker.Secret), "SQL": basic("' OR '1'='1:' OR '1'='1"), "line breaks": basic("a\r\nX-Evil: 1:b"), "another's secret": basic(t.outsider.ID + ":" + t.attacker.Secret),
			"broken escapes": basic("%zz:%"), "the admin token": basic("admin:" + t.server.adminToken), "Bearer for Basic": "Authorization: Bearer " + t.token,
		} {
			t.refuse(what, t.ask("POST", tokenURL, form(), "Content-Type: application/x-www-form-urlencoded", h), "http (401|429)")
		}
	}},
	{name: "logins: flood of wrong secrets", slow: true, run: func(t *trial) {
		// Each that is looked at costs a slow hash: so most must be refused before, and the right ones still be answered.
		n := int64(t.size(3000))
		var sent, limited atomic.Int64
		began := time.Now()
		var all sync.WaitGroup
		for range 32 {
			all.Go(func() {
				for time.Since(began) < 20*time.Second {
					i := sent.Add(1)
					if i > n {
						return
					}
					id := t.attacker.ID
					if i%2 == 0 {
						id = fmt.Sprintf("guess-%d", i)
					}
					got := t.ask("POST", tokenURL, form("client_id", id, "client_secret", fmt.Sprintf("wrong-%d", i)), "Content-Type: application/x-www-form-urlencoded")
					t.refuse("a wrong secret", got, "http (401|429|503)")
					if strings.HasPrefix(got, "http 429") {
						limited.Add(1)
					}
				}
			})
		}
		all.Wait()
		// One address has 100 wrong logins at once, and one more each second.
		if took := time.Since(began); limited.Load() < n-120-int64(took.Seconds()) {
			t.fault("of %d wrong logins in %v only %d were held up", n, took.Round(time.Millisecond), limited.Load())
		}
		if _, err := t.server.login(t.ctx, t.attacker, targetTable); err != nil {
			t.fault("a right login after wrong ones: %v", err)
		}
	}},
}
