package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/grapevine-p2p/grapevine/node"
)

func (c *cli) runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the node of a home",
		Long: `Run the node of a home until SIGINT or SIGTERM. It logs to standard error. Once
it serves, it prints on standard output where its API is, the addresses to reach
it at, and at last a line that begins with "ready". The first signal stops it
cleanly, within 10 seconds; a second one ends the process at once.

Every setting can be given in ` + configFile + ` in the home, as an environment
variable or as a flag; the later wins. "grapevine config" shows what is in force.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			home, err := c.homeDir()
			if err != nil {
				return err
			}
			cfg, err := c.nodeConfig(home, cmd)
			if err != nil {
				return err
			}
			return c.runNode(cmd.Context(), cfg)
		},
	}
	settingFlags(cmd)
	return cmd
}

// nodeConfig is what the settings of a home make of a node.
func (c *cli) nodeConfig(home string, cmd *cobra.Command) (node.Config, error) {
	settings, err := loadConfig(home, cmd)
	if err != nil {
		return node.Config{}, err
	}
	cfg := node.Configure(home, settings.Config)
	cfg.Version = readVersion().Version
	if cfg.Passphrase == nil {
		cfg.Passphrase = func() (string, error) { return c.passphrase("the producer key", false) }
	}
	cfg.Logger, err = node.SetupLogging(settings.Config.Log.Level, settings.Config.Log.Format, os.Stderr)
	if err != nil {
		return node.Config{}, &failure{tried: "set up the log", cause: err}
	}
	return cfg, nil
}

func (c *cli) runNode(ctx context.Context, cfg node.Config) error {
	const tried = "run the node in "
	n, err := node.New(cfg)
	if err != nil {
		return &failure{tried: tried + cfg.Home, cause: err, code: "start"}
	}
	told := make(chan struct{})
	over, end := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(told)
		select {
		case <-n.Ready():
			printReady(c.out, n, cfg)
		case <-over.Done():
		}
	}()
	err = n.Run(ctx)
	end()
	<-told
	if err != nil {
		return &failure{tried: tried + cfg.Home, cause: err, code: "run"}
	}
	return nil
}

// printReady says, in lines that scripts wait for and read, where the node is.
// The last begins with "ready".
func printReady(w io.Writer, n *node.Node, cfg node.Config) {
	if !cfg.API.Disabled && cfg.API.Socket != "" {
		fmt.Fprintf(w, "api      unix://%s\n", cfg.API.Socket)
	}
	if url := n.APIURL(); url != "" {
		fmt.Fprintf(w, "api      %s\n", url)
	}
	for _, a := range n.Addrs() {
		fmt.Fprintf(w, "address  %s/p2p/%s\n", a, n.ID())
	}
	g := n.Genesis()
	fmt.Fprintf(w, "ready    network %s (%s), node %s\n", g.Network, g.ID().Short(), n.ID())
}
