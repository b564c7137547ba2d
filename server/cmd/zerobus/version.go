package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
	"github.com/zerobus-go/zerobus/internal/version"
)

func newVersion() *cobra.Command {
	cmd := &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs}
	asJSON := jsonFlag(cmd)
	cmd.RunE = command(func(cmd *cobra.Command, _ []string) error {
		v := versionText()
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), map[string]string{"version": v, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH})
		}
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "zerobus %s %s %s/%s\n", v, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return err
	})
	return cmd
}

// versionText is the release, and the commit where the build knows it.
func versionText() string {
	text := version.Number
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				text += " (" + s.Value[:12] + ")"
			}
		}
	}
	return text
}
