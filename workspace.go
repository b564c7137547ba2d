package zerobus

import (
	"fmt"
	"net/url"
	"strings"
)

// Workspace is what the URL of a workspace tells, as a browser shows it.
type Workspace struct {
	URL string // https://<instance>.cloud.databricks.com, for [New]
	ID  string // the workspace's number; empty when the URL does not have it

	domain string // cloud.databricks.com
}

// ParseWorkspaceURL takes the URL of a workspace apart, as it stands in a browser's address bar:
//
//	https://dbc-a1b2c3d4-e5f6.cloud.databricks.com/o=1234567890123456               on AWS
//	https://dbc-a1b2c3d4-e5f6.cloud.databricks.com/?o=1234567890123456#job/7        with a page
//	https://adb-1234567890123456.12.azuredatabricks.net/o=1234567890123456          on Azure
//
// The number after o= is the workspace's id. On Azure it also stands in the host's name.
func ParseWorkspaceURL(s string) (Workspace, error) {
	const op = "parse workspace URL"
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	if err := checkWorkspaceURL(s); err != nil {
		return Workspace{}, newError(op, "", ErrInvalidArgument, err)
	}
	u, _ := url.Parse(s) // checked
	w := Workspace{URL: u.Scheme + "://" + u.Host, ID: u.Query().Get("o")}
	for _, part := range strings.Split(u.Path, "/") {
		if id, ok := strings.CutPrefix(part, "o="); ok && w.ID == "" {
			w.ID = id
		}
	}
	instance, domain, _ := strings.Cut(u.Hostname(), ".")
	if azure, ok := strings.CutSuffix(domain, "azuredatabricks.net"); ok {
		domain = strings.TrimPrefix(domain, azure)
		if id, ok := strings.CutPrefix(instance, "adb-"); ok && w.ID == "" {
			w.ID = id
		}
	}
	w.domain = domain
	for i := range len(w.ID) {
		if c := w.ID[i]; c < '0' || c > '9' {
			return Workspace{}, newError(op, "", ErrInvalidArgument, fmt.Errorf("the workspace id %q is not a number", w.ID))
		}
	}
	return w, nil
}

// ServerEndpoint returns the endpoint of the service for the workspace in a region, such as "us-west-2":
// https://<id>.zerobus.<region>.cloud.databricks.com, or …azuredatabricks.net. It is empty without an id, and for
// workspaces elsewhere.
func (w Workspace) ServerEndpoint(region string) string {
	switch {
	case w.ID == "" || region == "":
		return ""
	case w.domain == "cloud.databricks.com", w.domain == "azuredatabricks.net", w.domain == "gcp.databricks.com":
		return "https://" + w.ID + ".zerobus." + region + "." + w.domain
	}
	return ""
}
