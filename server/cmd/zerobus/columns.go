package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/zerobus-go/zerobus/internal/dial"
	"github.com/zerobus-go/zerobus/internal/oauth"
	"github.com/zerobus-go/zerobus/schema"
)

const (
	columnsTimeout = 30 * time.Second
	maxTableInfo   = 16 << 20 // bytes
)

// columns asks the workspace for the columns of the table.
func (t *target) columns(ctx context.Context) ([]schema.Field, error) {
	ctx, cancel := context.WithTimeout(ctx, columnsTimeout)
	defer cancel()
	endpoint, err := dial.ParseEndpoint(t.endpoint)
	if err != nil {
		return nil, err
	}
	token, err := oauth.Fetch(ctx, oauth.Config{
		WorkspaceURL: t.workspace, WorkspaceID: endpoint.WorkspaceID(), Table: t.table,
		ClientID: t.creds.ID, ClientSecret: t.creds.Secret, Client: t.http,
	})
	if err != nil {
		return nil, fmt.Errorf("columns of %s: %w", t.table, err)
	}
	base := t.workspace
	if !strings.Contains(base, "://") {
		base = "https://" + base
	}
	at, err := url.JoinPath(base, "api/2.1/unity-catalog/tables", url.PathEscape(t.table))
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token.Access)
	client := *t.http
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // the token goes nowhere else
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("columns of %s: %w", t.table, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxTableInfo+1))
	if err != nil {
		return nil, fmt.Errorf("columns of %s: %w", t.table, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("columns of %s: %s", t.table, refusalText(resp.StatusCode, body))
	}
	cols, err := parseColumns(body)
	if err != nil {
		return nil, fmt.Errorf("columns of %s: %w", t.table, err)
	}
	return cols, nil
}

// refusalText is what the workspace says, or else the status.
func refusalText(code int, body []byte) string {
	var answer struct {
		Message string `json:"message"`
	}
	text := fmt.Sprintf("HTTP %d %s", code, http.StatusText(code))
	if json.Unmarshal(body, &answer) == nil && answer.Message != "" {
		const most = 500
		if len(answer.Message) > most {
			answer.Message = strings.ToValidUTF8(answer.Message[:most], "") + "…"
		}
		text += ": " + answer.Message
	}
	return text
}

// parseColumns reads the columns of Unity Catalog's TableInfo.
func parseColumns(body []byte) ([]schema.Field, error) {
	if len(body) > maxTableInfo {
		return nil, fmt.Errorf("the answer has more than %d bytes", maxTableInfo)
	}
	var info struct {
		Columns []struct {
			Name     string `json:"name"`
			TypeText string `json:"type_text"`
		} `json:"columns"`
	}
	if err := json.Unmarshal(body, &info); err != nil {
		return nil, errors.New("the answer is not the JSON that it should be: is the workspace URL right?")
	}
	cols := make([]schema.Field, len(info.Columns))
	for i, c := range info.Columns {
		t, err := schema.ParseType(c.TypeText)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", c.Name, err)
		}
		cols[i] = schema.Field{Name: c.Name, Type: t}
	}
	if len(cols) == 0 {
		return nil, errors.New("the answer names no columns: is the workspace URL right?")
	}
	return cols, nil
}
