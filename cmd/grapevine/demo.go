package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/grapevine-p2p/grapevine/testnet"
	"github.com/grapevine-p2p/grapevine/testnet/report"
)

func (c *cli) demoCommand() *cobra.Command {
	o := testnet.DefaultDemoOptions()
	cmd := c.jsonFlag(&cobra.Command{
		Use:   "demo",
		Short: "Run a small network in this process, with wallets and producers",
		Long: `Run a small network in this process: nodes with homes of their own on loopback
addresses, two of them producing blocks, and wallets that send transactions of
the sizes and fees that a busy main network sees. Ctrl-C ends it with a report.

It fails (exit status 1) if an accepted transaction did not reach every node, or
no block included it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.demo(cmd.Context(), o)
		},
	})
	cmd.Flags().IntVar(&o.Nodes, "nodes", o.Nodes, "how many nodes")
	cmd.Flags().DurationVar(&o.For, "for", 0, "end after this time; 0 is until Ctrl-C")
	cmd.Flags().Float64Var(&o.Rate, "rate", o.Rate, "transactions per second over the whole network")
	cmd.Flags().Uint64Var(&o.Seed, "seed", o.Seed, "of wallets, load and links")
	return cmd
}

func (c *cli) demo(ctx context.Context, o testnet.DemoOptions) error {
	o.Producers = min(o.Producers, o.Nodes)
	if err := o.Validate(); err != nil {
		return wrongUsage("%w", err)
	}
	screen := newScreen(c.err, c.getenv)
	if screen != nil {
		o.Progress = func(s testnet.Snapshot) { screen.draw(func(w io.Writer) { printSnapshot(w, s) }) }
	}
	r, err := testnet.Demo(ctx, o)
	if screen != nil && c.json {
		screen.clear()
	}
	if err != nil {
		if ctx.Err() != nil {
			err = errors.New("it was ended before the network was ready")
		}
		return &failure{tried: "run the demo", cause: err, remedy: "free the loopback addresses and some memory, or try fewer --nodes"}
	}
	if c.json {
		c.reported = true
		if err := r.WriteJSON(c.out); err != nil {
			return &failure{tried: "print the report", cause: err}
		}
	} else {
		printReport(c.out, r)
	}
	if n := len(r.FailedExpectations); n > 0 {
		return &failure{
			tried:  "keep every promise of the network",
			cause:  errors.New(strings.Join(r.FailedExpectations, "; ")),
			remedy: fmt.Sprintf("run it again with --seed %d on a machine that is not busy; if it fails again it is a bug: report it with the output of --json", r.Seed),
			code:   "failed_expectations",
		}
	}
	return nil
}

// printSnapshot is the live page.
func printSnapshot(w io.Writer, s testnet.Snapshot) {
	fmt.Fprintf(w, "grapevine demo: %d nodes, %s%s\n", len(s.Nodes), s.Phase, elapsed(s))
	fmt.Fprintf(w, "%d transactions accepted (%.0f/s), %d of %d deliveries, %d included in %d blocks, %d dropped\n",
		s.Published, s.Rate, s.Delivered, s.Expected, s.Included, s.Blocks, s.Dropped)
	fmt.Fprintf(w, "delivered after %s (half) and %s (99 %%)\n", millis(s.Latency.P50), millis(s.Latency.P99))
	rows := make([][]string, 0, len(s.Nodes))
	for i, n := range s.Nodes {
		role := ""
		if n.Producer {
			role = "producer"
		}
		rows = append(rows, []string{
			fmt.Sprint(i), n.Address, fmt.Sprint(n.Peers), fmt.Sprintf("%d/%d", n.TxMesh, n.BlockMesh), fmt.Sprint(n.Mempool),
			fmt.Sprintf("%d/%d", n.Height, n.Final), fmt.Sprint(n.Delivered), millis(n.Latency.P50), millis(n.Latency.P99), role,
		})
	}
	table(w, []string{"NODE", "ADDRESS", "PEERS", "MESH tx/block", "MEMPOOL", "BLOCKS head/final", "DELIVERED", "p50", "p99", ""}, rows)
}

func elapsed(s testnet.Snapshot) string {
	if s.Elapsed == 0 {
		return ""
	}
	if s.For == 0 {
		return fmt.Sprintf(", %s (Ctrl-C ends it)", ago(s.Elapsed))
	}
	const width = 24
	full := int(min(float64(s.Elapsed)/float64(s.For), 1) * width)
	return fmt.Sprintf("  [%s%s] %s of %s", strings.Repeat("#", full), strings.Repeat(".", width-full), ago(s.Elapsed), s.For)
}

func millis(d time.Duration) string {
	if d == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

// printReport says in a few lines what the run showed.
func printReport(w io.Writer, r *report.Report) {
	pairs := []string{
		"ran", fmt.Sprintf("%d nodes, %d links, %.1f s, seed %d", r.Nodes, r.Links, r.WallS, r.Seed),
		"transactions", fmt.Sprintf("%d accepted, %d included in %d blocks, %d refused, %d dropped", r.Tx.Published, count(r.Tx.Included), r.Block.Published, count(r.Tx.Refused), count(r.Tx.Dropped)),
		"delivered", spread(r.Tx.Spread),
		"blocks delivered", spread(r.Block.Spread),
	}
	if r.Bytes.WirePerPayload != nil {
		pairs = append(pairs, "cost", fmt.Sprintf("%.1f bytes sent per byte of transaction delivered", *r.Bytes.WirePerPayload))
	}
	facts(w, pairs...)
	if len(r.FailedExpectations) == 0 {
		fmt.Fprintln(w, "Every accepted transaction reached every node and was included in a block.")
	}
}

func count(n *int) int {
	if n == nil {
		return 0
	}
	return *n
}

func spread(s report.Spread) string {
	text := fmt.Sprintf("%d of %d", s.Delivered, s.Expected)
	if p := s.LatencyMS; p != nil {
		text += fmt.Sprintf(", p50 %.1f ms, p90 %.1f ms, p99 %.1f ms, max %.1f ms", p.P50, p.P90, p.P99, p.Max)
	}
	return text
}
