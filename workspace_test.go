package zerobus_test

import (
	"testing"

	"github.com/zerobus-go/zerobus"
)

func TestParseWorkspaceURL(t *testing.T) {
	for _, tt := range []struct{ in, url, id, endpoint string }{
		{"https://dbc-a1b2.cloud.databricks.com/o=123", "https://dbc-a1b2.cloud.databricks.com", "123", "https://123.zerobus.r1.cloud.databricks.com"},
		{"https://DBC-a1b2.Cloud.Databricks.com/?o=123#job/7", "https://dbc-a1b2.cloud.databricks.com", "123", "https://123.zerobus.r1.cloud.databricks.com"},
		{"dbc-a1b2.cloud.databricks.com/browse?o=123", "https://dbc-a1b2.cloud.databricks.com", "123", "https://123.zerobus.r1.cloud.databricks.com"},
		{"https://dbc-a1b2.cloud.databricks.com", "https://dbc-a1b2.cloud.databricks.com", "", ""},
		{"https://adb-987.12.azuredatabricks.net/o=987", "https://adb-987.12.azuredatabricks.net", "987", "https://987.zerobus.r1.azuredatabricks.net"},
		{"https://adb-987.12.azuredatabricks.net", "https://adb-987.12.azuredatabricks.net", "987", "https://987.zerobus.r1.azuredatabricks.net"},
		{"https://555.7.gcp.databricks.com/?o=555", "https://555.7.gcp.databricks.com", "555", "https://555.zerobus.r1.gcp.databricks.com"},
		{"https://555.7.gcp.databricks.com", "https://555.7.gcp.databricks.com", "555", "https://555.zerobus.r1.gcp.databricks.com"},
		{"http://127.0.0.1:8981", "http://127.0.0.1:8981", "", ""},
		{"https://notcloud.databricks.com.example/o=5", "https://notcloud.databricks.com.example", "5", ""},
	} {
		w, err := zerobus.ParseWorkspaceURL(tt.in)
		if err != nil || w.URL != tt.url || w.ID != tt.id || w.ServerEndpoint("r1") != tt.endpoint {
			t.Errorf("%s: %+v, endpoint %q, %v; want %+v", tt.in, w, w.ServerEndpoint("r1"), err, tt)
		}
	}
	for _, in := range []string{"", "https://", "https://:443", "ftp://x", "https://me:hunter2@x.cloud.databricks.com/o=1", "https://x.cloud.databricks.com/o=1a", "https://x y"} {
		_, err := zerobus.ParseWorkspaceURL(in)
		wantErr(t, err, zerobus.ErrInvalidArgument)
		wantNoSecret(t, err, "hunter2")
	}
	if got := (zerobus.Workspace{}).ServerEndpoint("r1"); got != "" {
		t.Errorf("endpoint %q of no workspace", got)
	}
}
