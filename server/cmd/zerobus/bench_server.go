package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/server/internal/admin"
	"github.com/zerobus-go/zerobus/server/internal/catalog"
	"github.com/zerobus-go/zerobus/server/internal/datadir"
	"github.com/zerobus-go/zerobus/server/internal/loadgen"
)

const (
	benchPrincipal = "bench"
	benchStart     = time.Minute // for the server to get ready
)

// benchServer is the server that is measured.
type benchServer struct {
	data    string // its data directory
	target  *target
	api     admin.API
	usage   usageSource
	table   string // directory of the table
	closers []func() error
}

// close ends what was opened, the last first.
func (s *benchServer) close() error {
	var errs []error
	for _, end := range slices.Backward(s.closers) {
		errs = append(errs, end())
	}
	return errors.Join(errs...)
}

// server finds the server, or starts one, and makes the table and a principal that may write it.
func (p *benchPlan) server(ctx context.Context, progress *task) (s *benchServer, err error) {
	s = &benchServer{data: p.data}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.data == "" {
		progress.progress("servers started", 0, 1)
		if err := s.start(p.dir, p.serve); err != nil {
			return s, err
		}
	}
	dir, err := datadir.Existing(s.data)
	if err != nil {
		return s, err
	}
	running, err := admin.Running(dir)
	if err != nil {
		return s, fmt.Errorf("no server of %s is running (zerobus serve --data %[1]s runs one): %w", s.data, err)
	}
	api, release, err := connect(ctx, dir)
	if err != nil {
		return s, err
	}
	s.api = api
	s.closers = append(s.closers, release)
	creds, err := s.prepare(ctx, p)
	if err != nil {
		return s, err
	}
	detail, err := api.Describe(ctx, p.table)
	if err != nil {
		return s, err
	}
	s.table = detail.Location
	if !filepath.IsAbs(s.table) {
		return s, fmt.Errorf("table %s is at %s: only tables in directories of this machine can be measured", p.table, s.table)
	}
	to := targetFlags{table: p.table, id: creds.ID, secret: creds.Secret, data: s.data, useData: true}
	if s.target, err = to.target(); err != nil {
		return s, err
	}
	s.usage = usageSource{url: running.WorkspaceURL + "/metrics", client: s.target.http}
	s.closers = append(s.closers, func() error {
		s.target.http.CloseIdleConnections()
		return nil
	})
	return s, nil
}

// prepare makes the table and the principal. The principal's secret is new in every run.
func (s *benchServer) prepare(ctx context.Context, p *benchPlan) (creds admin.Credentials, err error) {
	if _, err := s.api.SQL(ctx, fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s (%s) USING DELTA", p.table, p.shape.DDL())); err != nil {
		return creds, err
	}
	all, err := s.api.Principals(ctx)
	if err != nil {
		return creds, err
	}
	issue := s.api.CreatePrincipal
	if slices.ContainsFunc(all, func(one admin.Principal) bool { return one.Name == benchPrincipal }) {
		issue = s.api.RotatePrincipal
	}
	if creds, err = issue(ctx, benchPrincipal); err != nil {
		return creds, err
	}
	name, err := catalog.ParseTableName(p.table)
	if err != nil {
		return creds, err
	}
	_, err = s.api.SQL(ctx, fmt.Sprintf("GRANT USE CATALOG ON CATALOG `%[2]s` TO `%[1]s`; GRANT USE SCHEMA ON SCHEMA `%[2]s`.`%[3]s` TO `%[1]s`;"+
		"GRANT SELECT, MODIFY ON TABLE `%[2]s`.`%[3]s`.`%[4]s` TO `%[1]s`", creds.ID, name.Catalog, name.Schema, name.Table))
	return creds, err
}

// start starts this program again as zerobus serve, below a directory, and waits until it is ready.
func (s *benchServer) start(below string, flags []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if below != "" {
		if err := os.MkdirAll(below, 0o755); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp(below, "zerobus-bench-")
	if err != nil {
		return err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	s.data = filepath.Join(dir, "data")
	s.closers = append(s.closers, func() error { return os.RemoveAll(dir) })
	log, err := os.Create(filepath.Join(dir, "serve.log"))
	if err != nil {
		return err
	}
	defer log.Close() // the process has its own
	args := append([]string{"serve", "--data", s.data, "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--log-level", "warn"}, flags...)
	cmd := exec.Command(self, args...) // without the context: the server ends after what it serves, see close
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start zerobus serve: %w", err)
	}
	late := time.AfterFunc(benchStart, func() { _ = cmd.Process.Kill() })
	ready := false
	for lines := bufio.NewScanner(out); !ready && lines.Scan(); {
		ready = strings.HasPrefix(lines.Text(), "data ")
	}
	late.Stop()
	s.closers = append(s.closers, func() error { return endServe(cmd) })
	if !ready {
		text, _ := os.ReadFile(log.Name()) // what is there
		return fmt.Errorf("zerobus serve did not get ready: %s", strings.TrimSpace(string(text)))
	}
	return nil
}

// endServe ends the own server, by an interrupt where there are signals. What it has not committed is thrown away with its directory.
func endServe(cmd *exec.Cmd) error {
	if err := cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		return nil
	}
	late := time.AfterFunc(shutdownTime+hangTime, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("end of zerobus serve: %w", err)
	}
	return nil
}

// age makes commits of one record each, so that the table has them behind it.
func (p *benchPlan) age(ctx context.Context, s *benchServer, sdk *zerobus.SDK, progress *task) (err error) {
	if p.commits == 0 {
		return nil
	}
	stream, err := p.open(ctx, s, sdk)
	if err != nil {
		return err
	}
	m := loadgen.NewMaker(p.shape, p.encoding, 0, 1)
	defer func() { err = errors.Join(err, stream.Close(ctx)) }()
	for n := range p.commits {
		progress.progress("commits made", int64(n), int64(p.commits))
		rec, err := p.next(m)
		if err != nil {
			return err
		}
		if _, err := stream.IngestAndWait(ctx, rec); err != nil {
			return err
		}
		if err := s.api.Flush(ctx, p.table); err != nil {
			return err
		}
	}
	return nil
}
