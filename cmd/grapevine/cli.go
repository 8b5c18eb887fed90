package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// cli is one run of the command: its streams and what the flags said.
type cli struct {
	in     io.Reader
	out    io.Writer
	err    io.Writer
	getenv func(string) string

	home  string // --home
	api   string // --api
	token string // --token
	json  bool   // --json

	started  bool // a command's own code has begun: what fails now is no longer wrong usage
	reported bool // the one JSON document of --json is out
}

// run executes the command line and returns the exit status.
func (c *cli) run(ctx context.Context, args []string) int {
	out := &faithful{Writer: c.out}
	c.out = out
	root := c.root()
	root.SetArgs(args)
	root.SetIn(c.in)
	root.SetOut(c.out)
	root.SetErr(c.err)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil && out.err != nil {
		err = &failure{tried: "print the result", cause: out.err, remedy: "make room where standard output goes"}
	}
	if err == nil {
		return exitDone
	}
	if !c.started {
		err = usageError(cmd, err)
	}
	// Where parsing stopped early, the flag may not have been reached.
	c.json = c.json || slices.Contains(args, "--json")
	return c.fail(err)
}

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "grapevine",
		Short: "Runs a Grapevine node, talks to one, and runs testnets",
		Long: `Grapevine carries signed transactions and blocks between nodes that do not
trust each other. This command runs a node, talks to one, and runs testnets.

To look around:   grapevine demo
To run a chain:   grapevine init --network dev && grapevine run`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
	}
	root.PersistentFlags().StringVar(&c.home, "home", "", `directory of the node (default $GRAPEVINE_HOME, or ~/.grapevine)`)
	root.AddCommand(
		c.demoCommand(),
		c.genesisCommand(),
		c.initCommand(),
		c.runCommand(),
		c.statusCommand(),
		c.peersCommand(),
		c.membersCommand(),
		c.mempoolCommand(),
		c.scoresCommand(),
		c.peerCommand(),
		c.keyCommand(),
		c.txCommand(),
		c.blockCommand(),
		c.testnetCommand(),
		c.configCommand(),
		c.versionCommand(),
	)
	c.guard(root)
	return root
}

// guard marks, for every command below parent, the moment its own code starts,
// and gives commands that only hold others an answer: cobra would print their
// help and report success for `grapevine key nonsense`.
func (c *cli) guard(parent *cobra.Command) {
	for _, cmd := range parent.Commands() {
		c.guard(cmd)
	}
	if parent.RunE == nil {
		parent.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("there is no command %q", cmd.CommandPath()+" "+args[0])
			}
			_ = cmd.Help() // it goes to the terminal; the exit status says what matters
			return errors.New("a command is missing")
		}
		if parent.HasParent() {
			parent.Args = cobra.ArbitraryArgs
		}
		return
	}
	own := parent.RunE
	parent.RunE = func(cmd *cobra.Command, args []string) error {
		c.started = true
		return own(cmd, args)
	}
}

// faithful remembers that something could not be written: those who print for
// people do not look.
type faithful struct {
	io.Writer
	err error // the first
}

// Write implements io.Writer.
func (f *faithful) Write(p []byte) (int, error) {
	n, err := f.Writer.Write(p)
	if f.err == nil {
		f.err = err
	}
	return n, err
}

// jsonFlag gives cmd the flag --json.
func (c *cli) jsonFlag(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&c.json, "json", false, "print one JSON document on standard output, and nothing else there")
	return cmd
}

// homeDir is the directory of the node this run is about.
func (c *cli) homeDir() (string, error) {
	if c.home != "" {
		return filepath.Clean(c.home), nil
	}
	if dir := c.getenv("GRAPEVINE_HOME"); dir != "" {
		return filepath.Clean(dir), nil
	}
	dir, err := os.UserHomeDir()
	if err != nil {
		return "", &failure{tried: "find the directory of the node", cause: err, remedy: "name it with --home DIR"}
	}
	return filepath.Join(dir, ".grapevine"), nil
}

// isTerminal says whether a person reads or types at the other end of stream.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
