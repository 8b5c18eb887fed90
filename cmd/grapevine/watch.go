package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/grapevine-p2p/grapevine/node/api"
)

// txKinds are the events of transactions, blockKinds those of blocks.
var (
	txKinds = []api.Kind{
		api.TxAccepted, api.TxPending, api.TxIncluded, api.TxReplaced, api.TxExpired, api.TxEvicted, api.TxInvalid,
	}
	blockKinds = []api.Kind{api.BlockAdded, api.Rollback, api.BlockFinal}
)

// watch is what the flags of a watching command say.
type watch struct {
	after   string
	limit   int
	address string
}

func (o *watch) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.after, "after", "", "begin after the event with this id instead of now")
	cmd.Flags().IntVar(&o.limit, "limit", 0, "end after this many events; 0 is never")
}

const watchHelp = `
The watch goes on through restarts of the node, begins again where it was cut
off, and says so if events were lost in between. Ctrl-C ends it. With --json each
event is one JSON document on a line of its own.`

func (c *cli) txWatchCommand() *cobra.Command {
	var o watch
	cmd := c.nodeFlags(&cobra.Command{
		Use:   "watch",
		Short: "Show what happens to transactions, as it happens",
		Long:  "Show what happens to transactions, as it happens." + watchHelp,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.watch(cmd.Context(), o, txKinds)
		},
	})
	o.flags(cmd)
	cmd.Flags().StringVar(&o.address, "address", "", "only transactions that this account sends or receives: an address, or the name of a key of the home")
	return cmd
}

func (c *cli) blockWatchCommand() *cobra.Command {
	var o watch
	cmd := c.nodeFlags(&cobra.Command{
		Use:   "watch",
		Short: "Show blocks, rollbacks and finality, as they happen",
		Long:  "Show blocks, rollbacks and finality, as they happen." + watchHelp,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.watch(cmd.Context(), o, blockKinds)
		},
	})
	o.flags(cmd)
	return cmd
}

// watchRetry is how long a watch waits for a node that went away.
const watchRetry = time.Hour

func (c *cli) watch(ctx context.Context, o watch, kinds []api.Kind) error {
	if o.limit < 0 {
		return wrongUsage("--limit %d: want 0 or more", o.limit)
	}
	client, err := c.clientRetrying(watchRetry)
	if err != nil {
		return err
	}
	filter := api.Filter{Kinds: kinds}
	if o.address != "" {
		g, err := client.Genesis(ctx)
		if err != nil {
			return nodeFailure("ask the node for its network", err)
		}
		a, err := c.parseAccount(g.AddressPrefix, "--address", o.address)
		if err != nil {
			return err
		}
		filter.Addresses = []string{a.Encode(g.AddressPrefix)}
	}
	shown := 0
	for e, err := range client.Events(ctx, filter, o.after) {
		if err != nil {
			return nodeFailure("watch the node", err)
		}
		if err := c.showEvent(e); err != nil {
			return err
		}
		if shown++; shown == o.limit {
			break
		}
	}
	return nil // also after Ctrl-C: that is how a watch ends
}

func (c *cli) showEvent(e api.Event) error {
	if c.json {
		return c.line(e)
	}
	fmt.Fprintf(c.out, "%s  %-11s  ", clock(e.Time), e.Kind)
	printEvent(c.out, e)
	return nil
}

func printEvent(w io.Writer, e api.Event) {
	switch {
	case e.Gap != nil && e.Gap.Lost > 0:
		fmt.Fprintf(w, "%d events were lost here (%s): ask for the state again\n", e.Gap.Lost, e.Gap.Reason)
	case e.Gap != nil:
		fmt.Fprintf(w, "events may have been lost here (%s): ask for the state again\n", e.Gap.Reason)
	case e.Tx != nil:
		fmt.Fprintf(w, "%s  %s #%s", e.Tx.ID, e.Tx.Sender, e.Tx.Nonce)
		if e.Tx.To != "" {
			fmt.Fprintf(w, " pays %s to %s", e.Tx.Amount, e.Tx.To)
		}
		if e.Block != nil {
			fmt.Fprintf(w, ", block %d", e.Block.Height)
		}
		if e.Tx.Reason != "" {
			fmt.Fprintf(w, ": %s", e.Tx.Reason)
		}
		fmt.Fprintln(w)
	case e.Block != nil:
		fmt.Fprintf(w, "%s  height %d, slot %d, %d transactions\n", e.Block.ID, e.Block.Height, e.Block.Slot, e.Block.TxCount)
	default:
		fmt.Fprintln(w)
	}
}
