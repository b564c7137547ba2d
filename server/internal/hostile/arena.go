package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/zerobus-go/zerobus"
)

// The tables that attackers see. They have grants on target, strict and wide, and none on secret.
const (
	targetTable = "main.default.target"
	strictTable = "main.default.strict"
	wideTable   = "main.default.wide"
	secretTable = "main.default.secret"

	wideColumns = 1000
	memoryLimit = "256MiB" // for rows that are not in a table
	adminPrefix = "/api/zerobus/v1/admin/"
	tablesPath  = "/api/2.1/unity-catalog/tables/"
	tokenURL    = "/oidc/v1/token"
	resource    = "api://databricks/workspaces/127/zerobusDirectWriteApi"
)

// credential is a client id with its secret.
type credential struct {
	ID     string `json:"client_id"`
	Secret string `json:"client_secret"`
}

// An arena is the server with everything that attacks need.
type arena struct {
	cfg     config
	bin     string
	server  *server
	control *control
	log     io.Writer // of servers

	attacker, outsider credential // the outsider has no grants
	token              string     // of the attacker, for target, strict and wide
	strictToken        string     // for strict alone
	bareToken          string     // of the attacker, for the catalog
	forger             *forger

	undisturbed figures
	idleFiles   int // descriptors of the server when nothing attacks
	idleStreams float64
}

// newArena starts a server with tables, principals, tokens and the control load.
func newArena(ctx context.Context, cfg config, bin, dir string, serverLog, sdkLog io.Writer) (a *arena, err error) {
	a = &arena{cfg: cfg, bin: bin, log: serverLog}
	if a.server, err = startServer(ctx, bin, dir, serverLog, "--memory-limit", memoryLimit, "--log-level", "warn"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = a.server.kill()
		}
	}()
	var wide strings.Builder
	for i := range wideColumns {
		fmt.Fprintf(&wide, ", c%d DOUBLE", i)
	}
	if err := a.server.must(ctx, "CREATE TABLE "+controlTable+" (stream INT NOT NULL, n BIGINT NOT NULL) USING DELTA;"+
		"CREATE TABLE "+targetTable+" (n BIGINT, text STRING, i INT, t TINYINT, d DOUBLE, f FLOAT, ok BOOLEAN, b BINARY, "+
		"dec DECIMAL(38,10), ts TIMESTAMP, dt DATE, v VARCHAR(8)) USING DELTA;"+
		"CREATE TABLE "+strictTable+" (n BIGINT NOT NULL, text STRING) USING DELTA;"+
		"CREATE TABLE "+secretTable+" (n BIGINT, text STRING) USING DELTA;"+
		"CREATE TABLE "+wideTable+" (n BIGINT, text STRING"+wide.String()+") USING DELTA;"); err != nil {
		return nil, err
	}
	if a.attacker, err = a.server.principal(ctx, "attacker"); err != nil {
		return nil, err
	}
	if a.outsider, err = a.server.principal(ctx, "outsider"); err != nil {
		return nil, err
	}
	honest, err := a.server.principal(ctx, "honest")
	if err != nil {
		return nil, err
	}
	for table, c := range map[string]credential{controlTable: honest, targetTable: a.attacker, strictTable: a.attacker, wideTable: a.attacker} {
		if err := a.server.grant(ctx, c, table); err != nil {
			return nil, err
		}
	}
	if a.token, err = a.server.login(ctx, a.attacker, targetTable, strictTable, wideTable); err != nil {
		return nil, err
	}
	if a.strictToken, err = a.server.login(ctx, a.attacker, strictTable); err != nil {
		return nil, err
	}
	if a.bareToken, err = a.server.login(ctx, a.attacker); err != nil {
		return nil, err
	}
	if _, err = a.server.login(ctx, a.outsider); err != nil {
		return nil, err
	}
	if a.forger, err = newForger(a.server.dir+"/data", a.token); err != nil {
		return nil, err
	}
	a.control, err = startControl(ctx, a.server, zerobus.ClientCredentials{ID: honest.ID, Secret: honest.Secret}, cfg.streams, cfg.rate,
		slog.New(slog.NewTextHandler(sdkLog, nil)))
	return a, err
}

// settle measures what is when nothing attacks.
func (a *arena) settle(ctx context.Context, d time.Duration) (err error) {
	pause(ctx, time.Second) // the first commits
	a.control.look()
	pause(ctx, d)
	a.undisturbed = a.control.look()
	if a.undisturbed.acked == 0 {
		return errors.Join(append([]error{errors.New("the control load gets no acknowledgements")}, asErrors(a.control.complaints())...)...)
	}
	a.idleStreams = a.server.metric(ctx, "zerobus_streams_open")
	a.idleFiles, err = descriptors(a.server.cmd.Process.Pid)
	return err
}

// admin sends a request of administration, with the right token.
func (s *server) admin(ctx context.Context, op string, request any) (int, string) {
	body, err := json.Marshal(request)
	if err != nil {
		return 0, err.Error()
	}
	return s.do(ctx, http.MethodPost, adminPrefix+op, "Bearer "+s.adminToken, "application/json", body)
}

func (s *server) sql(ctx context.Context, script string) (int, string) {
	return s.admin(ctx, "sql", map[string]string{"script": script})
}

// must runs statements that have to succeed.
func (s *server) must(ctx context.Context, script string) error {
	if code, body := s.sql(ctx, script); code != http.StatusOK {
		return fmt.Errorf("%.200s: %d %s", script, code, body)
	}
	return nil
}

func (s *server) principal(ctx context.Context, name string) (c credential, err error) {
	code, body := s.admin(ctx, "principal/create", map[string]string{"principal": name})
	if code != http.StatusOK {
		return c, fmt.Errorf("create principal %s: %d %s", name, code, body)
	}
	return c, json.Unmarshal([]byte(body), &c)
}

func (s *server) grant(ctx context.Context, c credential, table string) error {
	return s.must(ctx, fmt.Sprintf("GRANT USE CATALOG ON CATALOG main TO `%s`; GRANT USE SCHEMA ON SCHEMA main.default TO `%[1]s`; "+
		"GRANT SELECT, MODIFY ON TABLE %[2]s TO `%[1]s`;", c.ID, table))
}

// details is authorization_details for writing tables.
func details(tables ...string) string {
	type detail struct {
		Type       string   `json:"type"`
		Privileges []string `json:"privileges"`
		ObjectType string   `json:"object_type"`
		Object     string   `json:"object_full_path"`
	}
	const kind = "unity_catalog_privileges"
	list := []detail{{kind, []string{"USE CATALOG"}, "CATALOG", "main"}, {kind, []string{"USE SCHEMA"}, "SCHEMA", "main.default"}}
	for _, t := range tables {
		list = append(list, detail{kind, []string{"SELECT", "MODIFY"}, "TABLE", t})
	}
	b, err := json.Marshal(list)
	if err != nil {
		panic(err) // texts only
	}
	return string(b)
}

// form is a token request.
func form(set ...string) string {
	v := url.Values{"grant_type": {"client_credentials"}, "scope": {"all-apis"}}
	for i := 0; i+1 < len(set); i += 2 {
		v.Set(set[i], set[i+1])
	}
	return v.Encode()
}

// login gets a token for streams to tables, or for the catalog.
func (s *server) login(ctx context.Context, c credential, tables ...string) (string, error) {
	set := []string{"client_id", c.ID, "client_secret", c.Secret}
	if len(tables) > 0 {
		set = append(set, "resource", resource, "authorization_details", details(tables...))
	}
	code, body := s.do(ctx, http.MethodPost, tokenURL, "", "application/x-www-form-urlencoded", []byte(form(set...)))
	var answer struct {
		Token string `json:"access_token"`
	}
	if code != http.StatusOK {
		return "", fmt.Errorf("log in: %d %s", code, body)
	}
	err := json.Unmarshal([]byte(body), &answer)
	return answer.Token, err
}

func asErrors(texts []string) (errs []error) {
	for _, t := range texts {
		errs = append(errs, errors.New(t))
	}
	return errs
}

// pause waits for the time, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
