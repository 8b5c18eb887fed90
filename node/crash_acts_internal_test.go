package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/node/keyfile"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// act is what may happen in TestCrashesLoseNothing.
type act struct {
	name string
	do   func(*crashes)
}

func (a act) String() string { return a.name }

func often(times int, a act) []act { return slices.Repeat([]act{a}, times) }

var acts = slices.Concat(
	often(3, act{"submit", (*crashes).submit}),
	often(2, act{"begin to submit", (*crashes).begin}),
	often(3, act{"go on submitting", (*crashes).goOn}),
	often(2, act{"submit privately", (*crashes).submitPrivately}),
	often(2, act{"embargo ends", (*crashes).endsEmbargo}),
	often(2, act{"peer sends", (*crashes).peerSends}),
	often(3, act{"block", (*crashes).block}),
	often(2, act{"fork", (*crashes).fork}),
	often(2, act{"time goes by", (*crashes).wait}),
	often(1, act{"clock is set back", (*crashes).setBack}),
	often(2, act{"ends are written", (*crashes).flush}),
	often(1, act{"snapshot", (*crashes).snapshot}),
	often(1, act{"disk fails", (*crashes).fail}),
	often(1, act{"disk heals", (*crashes).heal}),
	often(2, act{"crash", (*crashes).crash}),
)

// newDeed signs a transaction that the wallet may have reason to sign.
func (w *crashes) newDeed() *deed {
	wallet := w.pick(crashWallets, "wallet")
	sender := w.wallet(wallet)
	body := wire.TxBody{To: wire.Address{7}, Amount: uint64(1 + w.pick(crashLoseable, "amount")), Fee: uint64(1_000 * (1 + w.pick(8, "fee")))}
	if w.one(3, "to another wallet") {
		body.To = w.wallet(1 - wallet)
	}
	if w.one(4, "small") {
		body.Amount = 1
	}
	_, body.Nonce = w.nextNonce(sender)
	if w.one(3, "not the next nonce") {
		account, _ := w.chain.ofSender(sender)
		body.Nonce = account.Nonce + uint64(w.pick(5, "nonce"))
	}
	if w.one(4, "expires") {
		body.ExpiresAt = uint64(w.clock.UnixMilli()) + uint64(500*(1+w.pick(16, "expires")))
	}
	return w.deedOf(w.sign(byte(bank+1+wallet), body), body.To)
}

func (w *crashes) deedOf(tx *wire.Transaction, to wire.Address) *deed {
	if i, ok := w.byID[tx.ID()]; ok {
		return w.deeds[i]
	}
	checked, err := w.chain.checker.StoredTx(tx)
	require.NoError(w, err)
	d := &deed{tx: checked, to: to, state: api.Unknown}
	w.byID[tx.ID()] = len(w.deeds)
	w.deeds = append(w.deeds, d)
	return d
}

func (d *deed) String() string {
	t := d.terms()
	return fmt.Sprintf("%s (nonce %d of %s, fee %d, spends %d, expires %d)", d.tx.ID().String()[:6], t.Nonce, t.Sender.Encode("gv")[5:8], t.Fee, t.Spends, t.ExpiresAt)
}

// some is a new transaction, or one that there is.
func (w *crashes) some() *deed {
	if len(w.deeds) > 0 && w.one(4, "again") {
		return w.deeds[w.pick(len(w.deeds), "which")]
	}
	return w.newDeed()
}

func (w *crashes) submit() {
	d := w.some()
	d.put, d.reborn = true, true
	s, err := w.Submit(context.Background(), d.tx.Tx().Bytes())
	w.answered(d, s, err)
}

func (w *crashes) submitPrivately() {
	d := w.some()
	d.put, d.reborn, d.secret = true, true, true
	s, err := w.SubmitPrivately(context.Background(), d.tx.Tx().Bytes())
	w.answered(d, s, err)
}

// answered notes what a user was told. While the power goes nobody knows whether he was.
func (w *crashes) answered(d *deed, s api.TxStatus, err error) {
	w.Logf("%s: %s %s, %v", d, s.State, s.Reason, err)
	if w.dying || err != nil || s.State == api.Final || s.State.Ended() {
		return
	}
	d.acked = true
	if !d.secret {
		d.public = true
	}
}

// begin does what Submit does before it asks the pool.
func (w *crashes) begin() {
	if w.store.Err() != nil {
		return
	}
	d := w.some()
	tx, err := w.chain.checker.Tx(context.Background(), w.clock, d.tx.Tx().Bytes())
	if err == nil {
		d.reborn = true
		err = w.chain.adopt(tx)
	}
	w.Logf("%s: %v", d, err)
	if err == nil {
		w.calls = append(w.calls, &call{deed: d})
	}
}

// goOn has one of the calls that have begun come to its next step.
func (w *crashes) goOn() {
	if len(w.calls) == 0 {
		return
	}
	i := w.pick(len(w.calls), "call")
	c := w.calls[i]
	if !c.pooled {
		c.pooled = true
		if err := w.chain.poolAdopted(c.deed.tx); err != nil {
			w.Logf("%s: %v", c.deed, err)
			w.calls = slices.Delete(w.calls, i, i+1)
		}
		return
	}
	c.deed.put, c.deed.reborn = true, true
	if !c.put && w.one(2, "no further than to the disk") {
		if err := w.chain.locals.write(c.deed.tx, w.clock); err == nil {
			c.put = true
			w.Logf("%s is on disk", c.deed)
			return
		}
	}
	w.calls = slices.Delete(w.calls, i, i+1)
	if err := w.keep(c.deed.tx); err != nil {
		w.answered(c.deed, api.TxStatus{}, err)
		return
	}
	s, err := w.txStatus(c.deed.tx.ID())
	w.answered(c.deed, s, err)
}

// called tells whether a call for d is under way.
func (w *crashes) called(d *deed) bool {
	for _, c := range w.calls {
		if c.deed == d {
			return true
		}
	}
	return false
}

// endsEmbargo publishes a private one, as the overlay does.
func (w *crashes) endsEmbargo() {
	var held []*deed
	for _, d := range w.deeds {
		if w.private.has(d.tx.ID()) {
			held = append(held, d)
		}
	}
	if len(held) == 0 {
		return
	}
	d := held[w.pick(len(held), "which")]
	err := w.chain.AddTx(context.Background(), d.tx, "")
	d.public = d.public || err == nil
	w.Logf("%s: %v", d, err)
}

func (w *crashes) peerSends() {
	d := w.some()
	d.public = true
	w.Logf("%s: %v", d, w.chain.AddTx(context.Background(), d.tx, "peer"))
}

// pay has the bank pay to a wallet in a block.
func (w *crashes) pay(p *point, wallet int, amount uint64) {
	nonce := p.accounts[keyfile.Address(benchKey(bank))].Nonce
	to := w.wallet(wallet)
	d := w.deedOf(w.sign(bank, wire.TxBody{Nonce: nonce, To: to, Amount: amount}), to)
	require.True(w, p.take(d))
}

// on is a block of that slot, without transactions yet.
func (w *crashes) on(parent *point, slot uint64) *point {
	maker := keyfile.Address(w.keys[slot%uint64(len(w.keys))])
	return parent.next(w.Genesis().SlotStart(slot), maker)
}

// add gives the node a block as if a peer had sent it.
func (w *crashes) add(p *point, slot uint64) *point {
	var txs []*wire.Transaction
	for _, d := range p.txs {
		d.public = true
		txs = append(txs, d.tx.Tx())
	}
	ref, err := w.tryForge(p.parent.ref, slot, txs...)
	if errors.Is(err, validation.AlreadyKnown) {
		return w.points[ref.ID]
	}
	require.NoError(w, err)
	p.ref = ref
	w.points[ref.ID] = p
	w.Logf("block %s at height %d of slot %d holds %v, the head is %s", ref.ID.String()[:6], ref.Height, slot, p.txs, w.chain.Head().ID.String()[:6])
	if !w.dying {
		w.look(false)
	}
	return p
}

// grow puts a block with some of what others have on a chain.
func (w *crashes) grow(parent *point) *point {
	slot := parent.ref.Slot + 1 + uint64(w.pick(2, "skipped slots"))
	p := w.on(parent, slot)
	if w.one(3, "income") {
		w.pay(p, w.pick(crashWallets, "payee"), uint64(crashEndowed/2))
	}
	for _, d := range w.sorted() {
		if (d.public || d.acked || w.chain.HasTx(d.tx.ID())) && !w.one(3, "left out") {
			p.take(d)
		}
	}
	return w.add(p, slot)
}

func (w *crashes) block() { w.grow(w.head()) }

// fork builds a chain beside the best one, which may become the best.
func (w *crashes) fork() {
	_, final := w.chain.ends()
	at := w.head()
	for range 1 + w.pick(crashBlocks-2, "depth") {
		if at.ref.Height > final.Height {
			at = at.parent
		}
	}
	for range 1 + w.pick(crashBlocks, "blocks") {
		if _, final := w.chain.ends(); at.ref.Height < final.Height {
			return
		}
		at = w.grow(at)
	}
}

// wait lets time go by, and the node keep its house.
func (w *crashes) wait() {
	w.clock = w.clock.Add(time.Duration(w.pick(4, "time")) * 700 * time.Millisecond)
	if w.clock.After(w.latest) {
		w.latest = w.clock
	}
	w.chain.expire()
	w.chain.retryEarly()
	w.private.sweep()
}

// setBack corrects a clock that was ahead.
func (w *crashes) setBack() {
	w.clock = w.clock.Add(-time.Duration(w.pick(10, "back")) * 700 * time.Millisecond)
}

func (w *crashes) flush() { _ = w.chain.locals.flush() }

// snapshot writes down what the pool holds. Whoever asks for it has that, too.
func (w *crashes) snapshot() {
	w.saveSnapshot(time.Minute)
	for _, d := range w.deeds {
		d.public = d.public || w.chain.HasTx(d.tx.ID())
	}
}

func (w *crashes) fail() {
	if !w.one(10, "at all") { // it takes a while to heal
		return
	}
	if w.one(2, "one write") {
		w.faults.FailAt(1+w.pick(4, "write"), syscall.EIO)
		return
	}
	w.faults.Fail(syscall.ENOSPC)
}

// heal lets the disk take writes again, and waits until the store does.
func (w *crashes) heal() {
	w.faults.Heal()
	if w.store.Err() == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- w.runStore(ctx) }()
	require.Eventually(w, func() bool { return w.store.Err() == nil }, 10*time.Second, time.Millisecond)
	cancel()
	require.NoError(w, <-ran)
	_, err := w.chain.release()
	require.NoError(w, err)
}
