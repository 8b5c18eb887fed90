package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/grapevine-p2p/grapevine/wire"
)

const (
	defaultPrefix = "gv"
	defaultSlot   = 2 * time.Second
)

func (c *cli) genesisCommand() *cobra.Command {
	group := &cobra.Command{Use: "genesis", Short: "Make the file that founds a network"}
	group.AddCommand(c.genesisNewCommand())
	return group
}

// genesisFlags are what founds a network, as the flags say it.
type genesisFlags struct {
	network   string
	producers []string
	allocs    []string
	slot      time.Duration
	prefix    string
	start     string
	out       string
}

func (c *cli) genesisNewCommand() *cobra.Command {
	var f genesisFlags
	cmd := &cobra.Command{
		Use:   "new --network NAME --producer ADDR --alloc ADDR=AMOUNT",
		Short: "Make a genesis file",
		Long: `Make a genesis file: who may produce blocks, who owns what, how long a slot
is. Every node of the network needs the same file; its content is the network's
identity. "grapevine key new --out FILE" makes the keys it names.`,
		Example: `  grapevine genesis new --network test --producer gv1… --alloc gv1…=1000000 --out genesis.json`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return c.genesisNew(f)
		},
	}
	cmd.Flags().StringVar(&f.network, "network", "", "name of the network")
	cmd.Flags().StringSliceVar(&f.producers, "producer", nil, "address that may produce blocks, in the order of turns (repeatable)")
	cmd.Flags().StringSliceVar(&f.allocs, "alloc", nil, "ADDR=AMOUNT: what an account owns at the start (repeatable)")
	cmd.Flags().DurationVar(&f.slot, "slot", defaultSlot, "length of a slot: at most one block in each")
	cmd.Flags().StringVar(&f.prefix, "prefix", defaultPrefix, "prefix of the network's addresses")
	cmd.Flags().StringVar(&f.start, "time", "", "when slot 0 begins, as 2006-01-02T15:04:05Z (default now)")
	cmd.Flags().StringVar(&f.out, "out", "-", "file to write, - for standard output; never an existing one")
	must(cmd.MarkFlagRequired("network"))
	must(cmd.MarkFlagRequired("producer"))
	return cmd
}

// must is for mistakes that only an edit of this program can make.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func (c *cli) genesisNew(f genesisFlags) error {
	g, err := f.genesis()
	if err != nil {
		return err
	}
	if f.out == "-" {
		_, err := c.out.Write(g.JSON())
		return err
	}
	if err := writeNew(f.out, g.JSON(), 0o644); err != nil {
		return err
	}
	fmt.Fprintf(c.err, "wrote %s: network %s, id %s\n", f.out, g.Network, g.ID().Short())
	return nil
}

func (f genesisFlags) genesis() (*wire.Genesis, error) {
	start := time.Now()
	if f.start != "" {
		var err error
		if start, err = time.Parse(time.RFC3339, f.start); err != nil {
			return nil, wrongUsage("--time %s: %w", f.start, err)
		}
	}
	var producers []wire.Address
	for _, s := range f.producers {
		a, err := parseAddress(f.prefix, "--producer", s)
		if err != nil {
			return nil, err
		}
		producers = append(producers, a)
	}
	allocs, err := f.allocations()
	if err != nil {
		return nil, err
	}
	g, err := newGenesis(f.network, f.prefix, start, f.slot, producers, allocs)
	if err != nil {
		return nil, &failure{tried: "make a genesis of these terms", cause: err, remedy: "correct the flags it names", exit: exitUsage}
	}
	return g, nil
}

func (f genesisFlags) allocations() ([]wire.Allocation, error) {
	var allocs []wire.Allocation
	for _, s := range f.allocs {
		who, amount, ok := strings.Cut(s, "=")
		if !ok {
			return nil, wrongUsage("--alloc %s: want ADDR=AMOUNT", s)
		}
		a, err := parseAddress(f.prefix, "--alloc", who)
		if err != nil {
			return nil, err
		}
		n, err := parseAmount("--alloc", amount)
		if err != nil {
			return nil, err
		}
		allocs = append(allocs, wire.Allocation{Address: a, Amount: n})
	}
	return allocs, nil
}

// newGenesis founds a network with the default limits.
func newGenesis(network, prefix string, start time.Time, slot time.Duration, producers []wire.Address, allocs []wire.Allocation) (*wire.Genesis, error) {
	// The file lists accounts in order, so that there is one way to write it.
	slices.SortFunc(allocs, func(a, b wire.Allocation) int { return a.Address.Compare(b.Address) })
	g := &wire.Genesis{
		Network:       network,
		AddressPrefix: prefix,
		Time:          uint64(start.UnixMilli()),
		SlotMillis:    uint32(slot.Milliseconds()),
		Allocations:   allocs,
		Producers:     []wire.ProducerSet{{Height: 0, Producers: producers}},
		Rules:         []wire.RuleChange{{Height: 0, Version: 1}},
		Limits:        wire.DefaultLimits(),
	}
	if err := g.Validate(); err != nil {
		return nil, err
	}
	return g, nil
}

// readGenesis reads a genesis file.
func readGenesis(path string) (*wire.Genesis, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, &failure{tried: "read the genesis file " + path, cause: err, remedy: "name the file that the network's founder gave you; `grapevine genesis new` makes one for a network of your own"}
	}
	g, err := wire.ParseGenesis(b)
	if err != nil {
		return nil, &failure{tried: "read the genesis file " + path, cause: err, remedy: "it is damaged or of another version: fetch it again, and compare the network id with somebody else's"}
	}
	return g, nil
}

// parseAddress reads an address of the network whose prefix is given; what
// names the place it was written in.
func parseAddress(prefix, what, s string) (wire.Address, error) {
	a, err := wire.ParseAddress(prefix, strings.TrimSpace(s))
	if err != nil {
		return a, wrongUsage("%s %s: %w", what, s, err)
	}
	return a, nil
}

// parseAmount reads an amount in the smallest unit.
func parseAmount(what, s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, wrongUsage("%s %q: want a whole number of the smallest unit, at most 18446744073709551615", what, s)
	}
	return n, nil
}

// writeNew writes a file that must not exist yet.
func writeNew(path string, b []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return &failure{tried: "write " + path, cause: err, remedy: "name a file that does not exist yet, in a directory you may write to"}
	}
	if _, err := io.Copy(f, bytes.NewReader(b)); err != nil {
		f.Close()
		return &failure{tried: "write " + path, cause: err}
	}
	if err := f.Close(); err != nil {
		return &failure{tried: "write " + path, cause: err}
	}
	return nil
}
