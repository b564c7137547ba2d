package zerobus

import (
	"net/url"
	"strings"
)

// Workspace is what the URL of a workspace tells, as a browser shows it.
type Workspace struct {
	URL string // https://<instance>.cloud.databricks.com, for [New]
	ID  string // the workspace's number; empty when the URL does not have it

	domain string // one that the service has endpoints in; empty elsewhere
}

// ParseWorkspaceURL takes the URL of a workspace apart, as it stands in a browser's address bar:
//
//	https://dbc-a1b2c3d4-e5f6.cloud.databricks.com/o=1234567890123456               on AWS
//	https://dbc-a1b2c3d4-e5f6.cloud.databricks.com/?o=1234567890123456#job/7        with a page
//	https://adb-1234567890123456.12.azuredatabricks.net/o=1234567890123456          on Azure
//	https://1234567890123456.7.gcp.databricks.com/?o=1234567890123456               on Google Cloud
//
// The number after o= is the workspace's id. On Azure and Google Cloud it also stands in the host's name.
func ParseWorkspaceURL(s string) (Workspace, error) {
	const op = "parse workspace URL"
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
		// What was given may hold a password: not in the error.
		return Workspace{}, invalid(op, "", "this is no URL of a workspace; one looks like https://<instance>.cloud.databricks.com/o=<workspace id>")
	}
	w := Workspace{URL: u.Scheme + "://" + strings.ToLower(u.Host), ID: u.Query().Get("o")}
	for _, part := range strings.Split(u.Path, "/") {
		if id, ok := strings.CutPrefix(part, "o="); ok && w.ID == "" {
			w.ID = id
		}
	}
	host := strings.ToLower(u.Hostname())
	for _, domain := range []string{"cloud.databricks.com", "azuredatabricks.net", "gcp.databricks.com"} {
		instance, ok := strings.CutSuffix(host, "."+domain)
		if !ok {
			continue
		}
		w.domain = domain
		// On Azure and Google Cloud the instance is <id>.<digit>, with adb- before it on Azure.
		if id, _, _ := strings.Cut(strings.TrimPrefix(instance, "adb-"), "."); w.ID == "" && domain != "cloud.databricks.com" && isNumber(id) {
			w.ID = id
		}
	}
	if w.ID != "" && !isNumber(w.ID) {
		return Workspace{}, invalid(op, "", "the workspace id %q is not a number", w.ID)
	}
	return w, nil
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// ServerEndpoint returns the endpoint of the service for the workspace in a region, such as "us-west-2":
// https://<id>.zerobus.<region>.cloud.databricks.com, or …azuredatabricks.net. It is empty without an id, and for
// workspaces elsewhere.
func (w Workspace) ServerEndpoint(region string) string {
	if w.ID == "" || region == "" || w.domain == "" {
		return ""
	}
	return "https://" + w.ID + ".zerobus." + region + "." + w.domain
}
