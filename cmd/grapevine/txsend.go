package main

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/node/keyfile"
	"github.com/grapevine-p2p/grapevine/wire"
)

// defaultKey is the wallet key that `init --network dev` makes and funds.
const defaultKey = "default"

// maxCount bounds --count: a run keeps an entry for each.
const maxCount = 1_000_000

// sendFlags are what the flags of `tx send` say.
type sendFlags struct {
	to       string
	amount   string
	fee      string
	from     string
	payload  string
	expires  time.Duration
	count    int
	wait     bool
	private  bool
	patience time.Duration
}

func (c *cli) txSendCommand() *cobra.Command {
	var f sendFlags
	cmd := c.nodeFlags(&cobra.Command{
		Use:   "send --to ADDR --amount N",
		Short: "Sign a transaction and send it",
		Long: `Sign a transaction with a key of the home and hand it to the node. "accepted"
means that the node has it on disk: it survives a crash and is passed on.
The key stays in this process.`,
		Example: `  grapevine tx send --to gv1… --amount 5 --wait
  grapevine tx send --to gv1… --amount 1 --count 1000 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.txSend(cmd.Context(), f)
		},
	})
	cmd.Flags().StringVar(&f.to, "to", "", "address that is paid, or the name of a key of the home")
	cmd.Flags().StringVar(&f.amount, "amount", "", "how much, in the smallest unit")
	cmd.Flags().StringVar(&f.fee, "fee", "", "fee in the smallest unit (default what the node advises)")
	cmd.Flags().StringVar(&f.from, "from", defaultKey, "name of the key that pays")
	cmd.Flags().StringVar(&f.payload, "payload", "", "bytes to carry along, in hex")
	cmd.Flags().DurationVar(&f.expires, "expires", 0, "no block may include it after this time; 0 is never")
	cmd.Flags().IntVar(&f.count, "count", 1, "send this many, one nonce after the other")
	cmd.Flags().BoolVar(&f.wait, "wait", false, "wait until a block includes it")
	privateFlag(cmd, &f.private)
	cmd.Flags().DurationVar(&f.patience, "patience", time.Minute, "give up after this long without any progress, where the node is full or away")
	must(cmd.MarkFlagRequired("to"))
	must(cmd.MarkFlagRequired("amount"))
	return cmd
}

// sendReport says what was sent and what became of it.
type sendReport struct {
	From     string         `json:"from"`
	To       string         `json:"to"`
	Amount   api.Amount     `json:"amount"`
	Fee      api.Amount     `json:"fee"`      // of each
	Accepted int            `json:"accepted"` // by the node, for good
	Included int            `json:"included"` // in blocks, as far as this run waited
	Seconds  float64        `json:"seconds"`
	Txs      []sentTxReport `json:"txs"` // by nonce
}

type sentTxReport struct {
	Nonce api.Amount `json:"nonce"`
	api.TxStatus
}

// settled says whether waiting for a transaction is over.
func settled(s api.State) bool { return s == api.Included || s == api.Final || s.Ended() }

func (f *sendFlags) check() (amount uint64, payload []byte, err error) {
	if amount, err = parseAmount("--amount", f.amount); err != nil {
		return 0, nil, err
	}
	if payload, err = hex.DecodeString(f.payload); err != nil {
		return 0, nil, wrongUsage("--payload: want hex: %w", err)
	}
	switch {
	case f.count < 1 || f.count > maxCount:
		err = wrongUsage("--count %d: want 1 to %d", f.count, maxCount)
	case f.expires < 0:
		err = wrongUsage("--expires %v: want a time to come", f.expires)
	case f.patience <= 0:
		err = wrongUsage("--patience %v: want more than 0", f.patience)
	}
	return amount, payload, err
}

func (c *cli) txSend(ctx context.Context, f sendFlags) error {
	amount, payload, err := f.check()
	if err != nil {
		return err
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	g, err := c.nodeGenesis(ctx, client)
	if err != nil {
		return err
	}
	to, err := c.parseAccount(g.AddressPrefix, "--to", f.to)
	if err != nil {
		return err
	}
	key, err := c.loadKey(f.from)
	if err != nil {
		return err
	}
	body := wire.TxBody{Version: wire.TxVersion, Sender: keyfile.Address(key), To: to, Amount: amount, Payload: payload}
	if f.expires > 0 {
		body.ExpiresAt = uint64(time.Now().Add(f.expires).UnixMilli())
	}
	if err := c.completeBody(ctx, client, g, key, f, &body); err != nil {
		return err
	}
	run := &transfers{
		node: client, network: g.ID(), key: key, address: body.Sender.Encode(g.AddressPrefix),
		first: body, count: f.count, patience: f.patience, private: f.private,
	}
	report := sendReport{
		From: run.address, To: to.Encode(g.AddressPrefix),
		Amount: api.Amount(amount), Fee: api.Amount(body.Fee),
	}
	return c.sendAndReport(ctx, client, run, f, report)
}

// nodeGenesis asks the node which network it is of. If the home belongs to a
// network, it must be the same: what is signed for another one could be worth
// something there.
func (c *cli) nodeGenesis(ctx context.Context, client *api.Client) (*wire.Genesis, error) {
	g, err := client.Genesis(ctx)
	if err != nil {
		return nil, nodeFailure("ask the node for its network", err)
	}
	home, err := c.homeDir()
	if err != nil {
		return nil, err
	}
	path := filepath.Join(home, genesisFile)
	if _, err := os.Stat(path); err != nil {
		return g, nil // a wallet without a node of its own
	}
	ours, err := readGenesis(path)
	if err != nil {
		return nil, err
	}
	if ours.ID() != g.ID() {
		return nil, &failure{
			tried:  "sign for the node's network",
			cause:  fmt.Errorf("the node is of network %s (%s), the home %s of network %s (%s)", g.Network, g.ID().Short(), home, ours.Network, ours.ID().Short()),
			remedy: "name the home of that network with --home, or its node with --api", code: api.CodeWrongNetwork,
		}
	}
	return g, nil
}

// completeBody asks the node for the nonce, and for the fee unless it is given.
func (c *cli) completeBody(ctx context.Context, client *api.Client, g *wire.Genesis, key ed25519.PrivateKey, f sendFlags, body *wire.TxBody) error {
	account, err := client.Account(ctx, body.Sender.Encode(g.AddressPrefix))
	if err != nil {
		return nodeFailure("ask the node for the account that pays", err)
	}
	body.Nonce = uint64(account.NextNonce)
	if f.fee != "" {
		body.Fee, err = parseAmount("--fee", f.fee)
		return err
	}
	fees, err := client.Fees(ctx)
	if err != nil {
		return nodeFailure("ask the node for a fee", err)
	}
	// The last nonce of the run takes the most bytes, and so does a large fee:
	// the size is that of the longest transaction that can come of it.
	longest := *body
	longest.Nonce += uint64(f.count)
	longest.Fee = math.MaxUint64
	body.Fee = uint64(fees.Suggest(wire.SignTx(g.ID(), key, &longest).Size()))
	return nil
}

func (c *cli) sendAndReport(ctx context.Context, client *api.Client, run *transfers, f sendFlags, report sendReport) error {
	began := time.Now()
	bars := c.newBars(run.count)
	run.accepted = bars.line("accepted")
	sent, err := run.run(ctx)
	for _, s := range sent {
		if s.State == "" {
			continue // never answered with "accepted"
		}
		report.Accepted++
		report.Txs = append(report.Txs, sentTxReport{api.Amount(s.Nonce), api.TxStatus{ID: s.ID, State: s.State}})
	}
	if err == nil && f.wait {
		err = c.awaitInclusion(ctx, client, report.Txs, f.patience, bars.line("included"))
	}
	bars.done()
	for _, tx := range report.Txs {
		if tx.State == api.Included || tx.State == api.Final {
			report.Included++
		}
	}
	report.Seconds = math.Round(time.Since(began).Seconds()*1000) / 1000
	if len(report.Txs) > 0 {
		if err := c.show(report, report.print(f.wait)); err != nil {
			return err
		}
	}
	return sendFailure(err)
}

// sendFailure puts the first refusal of a run in the operator's words.
func sendFailure(err error) error {
	if err == nil {
		return nil
	}
	if tx := (*txError)(nil); errors.As(err, &tx) {
		return nodeFailure(fmt.Sprintf("send transaction %s (nonce %d)", tx.ID, tx.Nonce), tx.Err)
	}
	if f := (*failure)(nil); errors.As(err, &f) {
		return err
	}
	return &failure{tried: "send the transactions", cause: err, remedy: "those printed above were accepted and stay so"}
}

func (r sendReport) print(waited bool) func(io.Writer) {
	return func(w io.Writer) {
		if len(r.Txs) == 1 {
			printTx(w, r.Txs[0].TxStatus)
			return
		}
		first, last := r.Txs[0], r.Txs[len(r.Txs)-1]
		fmt.Fprintf(w, "accepted %d transactions, nonces %s to %s, in %.1f s\n", r.Accepted, first.Nonce, last.Nonce, r.Seconds)
		if waited {
			fmt.Fprintf(w, "included %d, the last in block %d\n", r.Included, last.Height)
		}
	}
}

// awaitInclusion asks until every one of txs is in a block, and keeps the
// answers in it. Blocks include them in the order of nonces, so asking for one
// after the other costs little more than one question each.
func (c *cli) awaitInclusion(ctx context.Context, client *api.Client, txs []sentTxReport, patience time.Duration, included func()) error {
	const betweenQuestions = 200 * time.Millisecond
	pace := &pace{patience: patience, last: time.Now()}
	for i := range txs {
		for {
			s, err := client.TxStatus(ctx, txs[i].ID)
			if err == nil {
				txs[i].TxStatus = s
			}
			if err == nil && settled(s.State) {
				break
			}
			if ctx.Err() != nil {
				return &failure{tried: "wait for a block", cause: ctx.Err(), remedy: "`grapevine tx status ID` says later what became of it"}
			}
			if err != nil && !passes(err) {
				return nodeFailure("see what became of transaction "+txs[i].ID.String(), err)
			}
			if pace.exhausted(time.Now()) {
				return stillWaiting(txs[i].ID, patience, err)
			}
			_ = pause(ctx, betweenQuestions) // ctx is looked at above
		}
		if s := txs[i].TxStatus; s.State.Ended() {
			return &failure{
				tried: "see a block include transaction " + s.ID.String(), cause: fmt.Errorf("it is %s: %s", s.State, s.Reason),
				remedy: "send it again with a new nonce if it is still wanted", code: string(s.State),
			}
		}
		pace.progress(time.Now())
		included()
	}
	return nil
}

func stillWaiting(id wire.TxID, patience time.Duration, err error) error {
	if err != nil {
		return nodeFailure("see what became of transaction "+id.String(), err)
	}
	return &failure{
		tried: "see a block include transaction " + id.String(), cause: fmt.Errorf("none did in %v", patience),
		remedy: "it stays accepted; `grapevine status` shows whether blocks are made", code: "not_included",
	}
}

// bars show progress on a terminal and nothing in a pipe.
type bars struct {
	progress *mpb.Progress // nil in a pipe
	total    int
	all      []*mpb.Bar
}

func (c *cli) newBars(total int) *bars {
	b := &bars{total: total}
	if total > 1 && !c.json && isTerminal(c.err) {
		b.progress = mpb.New(mpb.WithOutput(c.err), mpb.WithWidth(40))
	}
	return b
}

// line adds a bar and returns what moves it by one.
func (b *bars) line(name string) func() {
	if b.progress == nil {
		return func() {}
	}
	bar := b.progress.AddBar(
		int64(b.total),
		mpb.PrependDecorators(decor.Name(name+" "), decor.CountersNoUnit("%d / %d")),
		mpb.AppendDecorators(decor.AverageSpeed(0, " %.0f/s"), decor.AverageETA(decor.ET_STYLE_MMSS, decor.WCSyncSpace)),
	)
	b.all = append(b.all, bar)
	return bar.Increment
}

// done leaves the bars as they are and gives the terminal back.
func (b *bars) done() {
	if b.progress == nil {
		return
	}
	for _, bar := range b.all {
		bar.Abort(false) // no effect on a complete one
	}
	b.progress.Wait()
}
