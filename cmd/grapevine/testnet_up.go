package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/grapevine-p2p/grapevine/testnet/local"
)

// defaultTestnetDir is where `testnet up` puts a network.
const defaultTestnetDir = "grapevine-testnet"

// testnetLocalCommands are those that run a network of real daemons.
func (c *cli) testnetLocalCommands() []*cobra.Command {
	return []*cobra.Command{c.testnetUpCommand(), c.testnetDownCommand(), c.testnetStatusCommand()}
}

// testnetUp is what the flags of `testnet up` say.
type testnetUp struct {
	dir    string
	plan   local.Plan // only what was given
	cores  []int
	detach bool
}

func (c *cli) testnetUpCommand() *cobra.Command {
	var o testnetUp
	given := local.DefaultPlan()
	cmd := c.jsonFlag(&cobra.Command{
		Use:   "up",
		Short: "Run a network of real daemons on loopback addresses",
		Long: `Run a network of real daemons, each a process with a home of its own under one
folder, on loopback addresses. A folder that is empty or not there becomes a new
network: its first nodes produce blocks, and the key "default" in each home has
money. A folder with a network that is down brings that one up again.

Once every node is ready and connected it prints where they are, and at last a
line that begins with "ready". Ctrl-C stops all of them. With --detach it returns
then, and "grapevine testnet down" stops them.

  grapevine testnet up --detach
  grapevine tx send --home ` + defaultTestnetDir + `/node-00 --to ADDRESS --amount 5 --wait
  grapevine testnet status --json
  grapevine testnet down`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("nodes") {
				o.plan.Nodes = given.Nodes
			}
			if cmd.Flags().Changed("producers") {
				o.plan.Producers = given.Producers
			}
			if cmd.Flags().Changed("slot") {
				o.plan.Slot = given.Slot
			}
			if err := o.validate(cmd, given); err != nil {
				return err
			}
			if o.detach {
				return c.testnetDetach(cmd.Context(), o)
			}
			return c.testnetUp(cmd.Context(), o)
		},
	})
	c.testnetDirFlag(cmd, &o.dir)
	f := cmd.Flags()
	f.IntVar(&given.Nodes, "nodes", given.Nodes, "how many nodes")
	f.IntVar(&given.Producers, "producers", given.Producers, "how many of them make blocks, in turns")
	f.DurationVar(&given.Slot, "slot", given.Slot, "length of a slot: at most one block in each")
	f.IntSliceVar(&o.cores, "cores", nil, "processor cores to pin the nodes to, in turns (Linux)")
	f.BoolVar(&o.detach, "detach", false, "return when the network is ready, and leave it running")
	return cmd
}

func (c *cli) testnetDirFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "dir", defaultTestnetDir, "folder of the network")
}

// validate says what is wrong with the flags alone.
func (o *testnetUp) validate(cmd *cobra.Command, given local.Plan) error {
	if !cmd.Flags().Changed("producers") {
		given.Producers = min(given.Producers, max(given.Nodes, 1))
	}
	if err := given.Validate(); err != nil {
		return wrongUsage("%w", err)
	}
	if given.Producers < 1 {
		return wrongUsage("producers is %d, want at least 1: nobody else makes blocks", given.Producers)
	}
	if o.dir == "" {
		return wrongUsage("--dir is empty, want the folder of the network")
	}
	for _, core := range o.cores {
		if core < 0 || core > 1023 {
			return wrongUsage("--cores has %d, want 0 to 1023", core)
		}
	}
	return nil
}

func (c *cli) testnetUp(ctx context.Context, o testnetUp) error {
	fmt.Fprintf(c.err, "starting the network of %s\n", o.dir)
	opts := local.UpOptions{Dir: o.dir, Plan: o.plan, Cores: o.cores}
	opts.Ready = func(s *local.Status) {
		// A stream that is gone is no reason to stop the network.
		_ = c.show(s, func(w io.Writer) { printTestnetReady(w, s) })
		fmt.Fprintln(c.err, "Ctrl-C stops it")
	}
	opts.Ended = func(name, why, log string) {
		fmt.Fprintf(c.err, "%s ended by itself (%s); %s says more\n", name, why, log)
	}
	if err := local.Up(ctx, opts); err != nil {
		return testnetFailure("run the network of "+o.dir, err)
	}
	return nil
}

func (c *cli) testnetDetach(ctx context.Context, o testnetUp) error {
	fmt.Fprintf(c.err, "starting the network of %s\n", o.dir)
	self, err := os.Executable()
	if err != nil {
		return &failure{tried: "find this program", cause: err}
	}
	again := []string{self, "testnet", "up", "--dir", o.dir}
	for _, core := range o.cores {
		again = append(again, "--cores", strconv.Itoa(core))
	}
	s, err := local.Detach(ctx, local.UpOptions{Dir: o.dir, Plan: o.plan, Cores: o.cores}, again...)
	if err != nil {
		return testnetFailure("bring up the network of "+o.dir, err)
	}
	return c.show(s, func(w io.Writer) { printTestnetReady(w, s) })
}

// testnetFailure is an error of a local network, with what to do.
func testnetFailure(tried string, err error) error {
	f := &failure{tried: tried, cause: err, code: "testnet"}
	switch {
	case errors.Is(err, local.Running):
		f.code, f.remedy = "running", "`grapevine testnet status` shows it and `grapevine testnet down` stops it; another --dir holds another one"
	case errors.Is(err, local.NotANetwork):
		f.code, f.remedy = "not_a_testnet", "name another folder with --dir; nothing was changed in this one"
	case errors.Is(err, local.Missing):
		f.code, f.remedy = "not_a_testnet", "name its folder with --dir, or make one with `grapevine testnet up`"
	case errors.Is(err, local.Different):
		f.code, f.remedy = "different", "leave these flags out to bring it up as it is, or name another folder with --dir"
	case errors.Is(err, local.Damaged):
		f.code, f.remedy = "damaged", "move the folder away; `grapevine run --home` still runs each of the homes in it"
	case errors.Is(err, local.ErrEarly):
		f.code, f.remedy = "interrupted", "its nodes are stopped; run it again to bring it up"
	}
	return f
}

// printTestnetReady says, in lines that scripts wait for and read, where the
// nodes are. The last begins with "ready".
func printTestnetReady(w io.Writer, s *local.Status) {
	for _, d := range s.Daemons {
		fmt.Fprintf(w, "node     %s (process %d), home %s\n", d.Name, d.PID, d.Home)
		fmt.Fprintf(w, "api      unix://%s %s\n", d.APISocket, d.APIURL)
		for _, a := range d.Addresses {
			fmt.Fprintf(w, "address  %s\n", a)
		}
		fmt.Fprintf(w, "wallet   %s\n", d.Wallet)
	}
	fmt.Fprintf(w, "ready    network %s (%s), %d nodes in %s\n", s.Network, s.NetworkID.Short(), len(s.Daemons), s.Dir)
}

// testnetDownReport is what `testnet down` says.
type testnetDownReport struct {
	Dir     string `json:"dir"`
	Stopped int    `json:"stopped"` // nodes
}

func (c *cli) testnetDownCommand() *cobra.Command {
	var dir string
	cmd := c.jsonFlag(&cobra.Command{
		Use:   "down",
		Short: "Stop a network that `testnet up` runs",
		Long: `Stop a network that "testnet up" runs, in whatever terminal, or left behind.
What its nodes know stays: "testnet up" brings it up again. Remove the folder to
be rid of it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			n, err := local.Down(cmd.Context(), dir)
			if err != nil {
				return testnetFailure("stop the network of "+dir, err)
			}
			return c.show(testnetDownReport{dir, n}, func(w io.Writer) {
				if n == 0 {
					fmt.Fprintf(w, "the network of %s was not running\n", dir)
					return
				}
				fmt.Fprintf(w, "stopped %d nodes\n", n)
			})
		},
	})
	c.testnetDirFlag(cmd, &dir)
	return cmd
}

func (c *cli) testnetStatusCommand() *cobra.Command {
	var dir string
	var wait time.Duration
	cmd := c.jsonFlag(&cobra.Command{
		Use:   "status",
		Short: "Show what a network of `testnet up` does just now",
		Long: `Show what a network of "testnet up" does just now, node by node. With --wait it
waits until every node is ready and connected, and fails (exit status 1) if that
takes longer.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.testnetStatus(cmd.Context(), dir, wait) },
	})
	c.testnetDirFlag(cmd, &dir)
	cmd.Flags().DurationVar(&wait, "wait", 0, "wait this long for every node to be ready")
	return cmd
}

// lookEvery is often enough for a script that waits.
const lookEvery = 200 * time.Millisecond

func (c *cli) testnetStatus(ctx context.Context, dir string, wait time.Duration) error {
	if wait < 0 {
		return wrongUsage("--wait is %v, want 0 or more", wait)
	}
	within, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	s, err := local.Look(ctx, dir)
	for wait > 0 && (err != nil || !s.Ready) && pause(within, lookEvery) == nil {
		s, err = local.Look(ctx, dir)
	}
	if err != nil {
		return testnetFailure("look at the network of "+dir, err)
	}
	if err := c.show(s, func(w io.Writer) { printTestnetStatus(w, s) }); err != nil {
		return err
	}
	if wait > 0 && !s.Ready {
		return &failure{
			tried: "see every node ready", cause: fmt.Errorf("within %v: %s", wait, notReady(s)), code: "not_ready",
			remedy: "the log of a node is in its home, node.log",
		}
	}
	return nil
}

// notReady names the nodes that are not.
func notReady(s *local.Status) string {
	var which []string
	for _, d := range s.Daemons {
		if !d.Ready || d.Peers < d.Links {
			which = append(which, d.Name+" is "+daemonState(d))
		}
	}
	return strings.Join(which, ", ")
}

func daemonState(d local.DaemonStatus) string {
	switch {
	case !d.Alive && d.Ended != "":
		return "dead: " + d.Ended
	case !d.Alive:
		return "off"
	case d.Error != "":
		return "silent: " + d.Error
	case !d.Ready:
		return "not ready: " + strings.Join(d.Waiting, ", ")
	case d.Peers < d.Links:
		return fmt.Sprintf("ready, with %d of %d connections", d.Peers, d.Links)
	}
	return "ready"
}

func printTestnetStatus(w io.Writer, s *local.Status) {
	facts(w, "network", fmt.Sprintf("%s (%s) in %s", s.Network, s.NetworkID.Short(), s.Dir), "phase", string(s.Phase))
	rows := make([][]string, len(s.Daemons))
	for i, d := range s.Daemons {
		pid, head, pool, cpu := "–", "–", "–", "–"
		if d.Alive {
			pid = fmt.Sprint(d.PID)
		}
		if d.Head != nil {
			head, pool = fmt.Sprintf("%d/%d", d.Head.Height, d.Final.Height), fmt.Sprint(d.Mempool.Count)
		}
		if d.CPUS != nil {
			cpu = fmt.Sprintf("%.1f s", *d.CPUS)
		}
		rows[i] = []string{d.Name, pid, daemonState(d), fmt.Sprint(d.Peers), head, pool, cpu, d.APIURL}
	}
	table(w, []string{"NODE", "PROCESS", "STATE", "PEERS", "BLOCKS head/final", "MEMPOOL", "CPU", "API"}, rows)
}
