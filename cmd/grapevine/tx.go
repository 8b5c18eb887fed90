package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/wire"
)

func (c *cli) txCommand() *cobra.Command {
	group := &cobra.Command{Use: "tx", Short: "Send transactions and see what becomes of them"}
	group.AddCommand(c.txSendCommand(), c.txSubmitCommand(), c.txStatusCommand(), c.txWatchCommand())
	return group
}

func (c *cli) txSubmitCommand() *cobra.Command {
	var private bool
	cmd := &cobra.Command{
		Use:   "submit FILE|-",
		Short: "Hand over a transaction that was signed elsewhere",
		Long: `Hand over a transaction that was signed elsewhere, from a file or from standard
input if it is called "-": its bytes, the same in hex, or the JSON form that the
node's /openapi.json describes. Handing over the same one again is no error.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := c.readInput(args[0])
			if err != nil {
				return err
			}
			client, err := c.client()
			if err != nil {
				return err
			}
			s, err := submitAs(cmd.Context(), client, b, publication(private)...)
			if err != nil {
				return nodeFailure("submit the transaction", err)
			}
			return c.show(s, func(w io.Writer) { printTx(w, s) })
		},
	}
	privateFlag(cmd, &private)
	return c.nodeFlags(cmd)
}

func privateFlag(cmd *cobra.Command, private *bool) {
	cmd.Flags().BoolVar(private, "private", false, "hide where it began: peers hand it on for some seconds before one publishes it")
}

func publication(private bool) []api.SubmitOption {
	if private {
		return []api.SubmitOption{api.Private}
	}
	return nil
}

// submitAs hands b over in the form it is in.
func submitAs(ctx context.Context, client *api.Client, b []byte, how ...api.SubmitOption) (api.TxStatus, error) {
	form, data := formOf(b)
	if form != formJSON {
		return client.SubmitRaw(ctx, data, how...)
	}
	s, err := parseSubmission(data)
	if err != nil {
		return api.TxStatus{}, err
	}
	return client.SubmitBody(ctx, s, how...)
}

// parseSubmission reads the JSON form as strictly as a node does.
func parseSubmission(data []byte) (api.Submission, error) {
	var s api.Submission
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	err := dec.Decode(&s)
	if err == nil && dec.More() {
		err = errors.New("more follows after the JSON object")
	}
	if err != nil {
		return s, &failure{tried: "read the transaction", cause: err, remedy: "the node's /openapi.json describes the form", code: api.CodeBadRequest}
	}
	return s, nil
}

// maxInput bounds what is read as a transaction: twice for hex, and room for
// JSON around it.
const maxInput = 3 * wire.MaxTx

func (c *cli) readInput(path string) ([]byte, error) {
	tried := "read the transaction"
	in := c.in
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, &failure{tried: tried, cause: err, remedy: "name a file you may read, or - for standard input"}
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	switch {
	case err != nil:
		return nil, &failure{tried: tried, cause: err}
	case len(b) == 0:
		return nil, &failure{tried: tried, cause: errors.New("there is nothing in it"), remedy: "give the bytes of a signed transaction, their hex, or JSON", code: "truncated"}
	case len(b) > maxInput:
		return nil, &failure{tried: tried, cause: fmt.Errorf("it is longer than %d bytes", maxInput), remedy: fmt.Sprintf("a transaction has at most %d bytes", wire.MaxTx), code: "too_large"}
	}
	return b, nil
}

// inputForm is how a transaction is written down.
type inputForm uint8

const (
	formRaw inputForm = iota
	formHex
	formJSON
)

// formOf tells the forms apart and decodes hex. The bytes of a transaction
// begin with a field tag, which is neither a brace nor a hex digit.
func formOf(b []byte) (inputForm, []byte) {
	text := bytes.TrimSpace(b)
	if len(text) > 0 && text[0] == '{' {
		return formJSON, b
	}
	raw := make([]byte, hex.DecodedLen(len(text)))
	if _, err := hex.Decode(raw, text); err == nil && len(raw) > 0 {
		return formHex, raw
	}
	return formRaw, b
}

func (c *cli) txStatusCommand() *cobra.Command {
	return c.nodeFlags(&cobra.Command{
		Use:   "status ID",
		Short: "Say what became of a transaction",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := wire.ParseTxID(args[0])
			if err != nil {
				return wrongUsage("%q is not a transaction id: %w", args[0], err)
			}
			client, err := c.client()
			if err != nil {
				return err
			}
			s, err := client.TxStatus(cmd.Context(), id)
			if err != nil {
				return nodeFailure("find transaction "+id.String(), err)
			}
			if err := c.show(s, func(w io.Writer) { printTx(w, s) }); err != nil || s.State != api.Unknown {
				return err
			}
			return &failure{
				tried: "find transaction " + id.String(), cause: errors.New("this node has never seen it, or has forgotten it"),
				remedy: "check the id; a node forgets what ended long ago", code: string(api.Unknown),
			}
		},
	})
}

// printTx says in one line what became of a transaction.
func printTx(w io.Writer, s api.TxStatus) {
	fmt.Fprintf(w, "%s %s", s.State, s.ID)
	if s.Block != nil {
		fmt.Fprintf(w, " in block %d (%s)", s.Height, *s.Block)
	}
	if s.By != nil {
		fmt.Fprintf(w, " by %s", *s.By)
	}
	if s.Reason != "" {
		fmt.Fprintf(w, ": %s", s.Reason)
	}
	fmt.Fprintln(w)
}
