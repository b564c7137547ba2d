package airquality

import (
	"fmt"
	"os"
	"strings"

	"github.com/zerobus-go/zerobus"
)

// Env is where the examples send their records.
type Env struct {
	ServerEndpoint string // ZEROBUS_SERVER_ENDPOINT
	WorkspaceURL   string // DATABRICKS_WORKSPACE_URL
	Table          string // ZEROBUS_TABLE_NAME
	Credentials    zerobus.ClientCredentials
}

// FromEnv reads the environment. The error names every variable that is missing or still a placeholder.
func FromEnv() (Env, error) {
	var missing []string
	get := func(name string) string {
		v := os.Getenv(name)
		if v == "" || strings.Contains(v, "<") {
			missing = append(missing, name)
		}
		return v
	}
	e := Env{
		ServerEndpoint: get("ZEROBUS_SERVER_ENDPOINT"),
		WorkspaceURL:   get("DATABRICKS_WORKSPACE_URL"),
		Table:          get("ZEROBUS_TABLE_NAME"),
		Credentials:    zerobus.ClientCredentials{ID: get("DATABRICKS_CLIENT_ID"), Secret: get("DATABRICKS_CLIENT_SECRET")},
	}
	if len(missing) > 0 {
		return e, fmt.Errorf("set %s: see examples/README.md", strings.Join(missing, ", "))
	}
	return e, nil
}
