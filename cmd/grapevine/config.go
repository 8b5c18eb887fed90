package main

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/grapevine-p2p/grapevine/node/config"
)

// configReport is the effective configuration.
type configReport struct {
	Home   string        `json:"home"`
	File   string        `json:"file"`
	Values []configValue `json:"values"`
}

type configValue struct {
	Key    string          `json:"key"`
	Value  json.RawMessage `json:"value"`
	Origin string          `json:"origin"`
}

func (c *cli) configCommand() *cobra.Command {
	cmd := c.jsonFlag(&cobra.Command{
		Use:   "config",
		Short: "Print the settings in force and where each came from",
		Long: `Print the settings that "grapevine run" would use, and where each came from: the
default, the file config.toml in the home, the environment, or a flag. It takes
the same flags as "grapevine run".`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			home, err := c.homeDir()
			if err != nil {
				return err
			}
			settings, err := loadConfig(home, cmd)
			if err != nil {
				return err
			}
			report := configReport{Home: home, File: filepath.Join(home, configFile)}
			for _, e := range settings.Entries() {
				// The TOML form of every kind of setting is JSON as well.
				report.Values = append(report.Values, configValue{e.Key, json.RawMessage(e.Value), e.Origin})
			}
			return c.show(report, func(w io.Writer) {
				fmt.Fprintf(w, "# home %s\n", home)
				rows := make([][]string, 0, len(report.Values))
				for _, v := range report.Values {
					rows = append(rows, []string{v.Key, string(v.Value), v.Origin})
				}
				table(w, []string{"KEY", "VALUE", "FROM"}, rows)
			})
		},
	})
	settingFlags(cmd)
	return cmd
}

// settingFlags gives cmd a flag for every setting of a node. --api is what the
// other commands call the node's API: here it says where to offer it.
func settingFlags(cmd *cobra.Command) {
	config.AddFlags(cmd.Flags())
	cmd.Flags().SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "api" {
			name = "api-listen"
		}
		return pflag.NormalizedName(name)
	})
}
