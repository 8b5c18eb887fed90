package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// versionReport says which build this is.
type versionReport struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // of the version control system
	Time     string `json:"time,omitempty"`     // of that revision
	Modified bool   `json:"modified"`           // the tree had changes beside the revision
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func readVersion() versionReport {
	v := versionReport{Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if m := info.Main.Version; m != "" && m != "(devel)" {
		v.Version = m
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.time":
			v.Time = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

func (c *cli) versionCommand() *cobra.Command {
	return c.jsonFlag(&cobra.Command{
		Use:   "version",
		Short: "Say which build this is",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := readVersion()
			return c.show(v, func(w io.Writer) {
				fmt.Fprintf(w, "grapevine %s\n", v.Version)
				if v.Revision != "" {
					changed := ""
					if v.Modified {
						changed = " (and changes)"
					}
					fmt.Fprintf(w, "revision %s%s, %s\n", v.Revision, changed, v.Time)
				}
				fmt.Fprintf(w, "%s %s\n", v.Go, v.Platform)
			})
		},
	})
}
