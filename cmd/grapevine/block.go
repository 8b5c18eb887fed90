package main

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/wire"
)

func (c *cli) blockCommand() *cobra.Command {
	group := &cobra.Command{Use: "block", Short: "Show blocks"}
	group.AddCommand(c.blockGetCommand(), c.blockWatchCommand())
	return group
}

func (c *cli) blockGetCommand() *cobra.Command {
	var full bool
	cmd := c.nodeFlags(&cobra.Command{
		Use:   "get ID|HEIGHT",
		Short: "Show one block, by its id or by its height on the best chain",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkBlockName(args[0]); err != nil {
				return err
			}
			client, err := c.client()
			if err != nil {
				return err
			}
			b, err := client.Block(cmd.Context(), args[0], full)
			if err != nil {
				return nodeFailure("get block "+args[0], err)
			}
			return c.show(b, func(w io.Writer) { printBlock(w, b) })
		},
	})
	cmd.Flags().BoolVar(&full, "txs", false, "show the transactions whole instead of their ids")
	return cmd
}

// checkBlockName refuses what is neither a height nor the id of a block.
func checkBlockName(s string) error {
	if _, err := strconv.ParseUint(s, 10, 64); err == nil {
		return nil
	}
	if _, err := wire.ParseBlockID(s); err != nil {
		return wrongUsage("%q is neither a height nor a block id: %w", s, err)
	}
	return nil
}

func printBlock(w io.Writer, b api.Block) {
	place := "on a side branch"
	switch {
	case b.Final:
		place = "final"
	case b.Best:
		place = "on the best chain"
	}
	facts(
		w,
		"block", b.ID.String(),
		"height", fmt.Sprintf("%d, %s", b.Height, place),
		"parent", b.Parent.String(),
		"producer", b.Producer,
		"fees to", b.FeeRecipient,
		"slot", fmt.Sprintf("%d, %s", b.Slot, clock(b.Time)),
		"size", fmt.Sprintf("%s, %d transactions", size(uint64(b.Size)), b.TxCount),
	)
	for _, id := range b.IDs {
		fmt.Fprintln(w, " ", id)
	}
	for _, tx := range b.Txs {
		if t := tx.Body; t != nil {
			fmt.Fprintf(w, "  %s  %s #%s pays %s to %s, fee %s\n", tx.ID, t.Sender, t.Nonce, t.Amount, orDash(t.To), t.Fee)
		} else {
			fmt.Fprintf(w, "  %s  %d bytes\n", tx.ID, tx.Size)
		}
	}
}

// clock is a time of the wire as a person reads it.
func clock(unixMillis uint64) string {
	return time.UnixMilli(int64(unixMillis)).Format("2006-01-02 15:04:05.000")
}
