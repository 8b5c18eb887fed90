package node

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/internal/crashdisk"
	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/node/keyfile"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// TestCrashesLoseNothing lets wallets, peers, producers and the clock do what they may, in any
// order, with a disk that fails and power that goes at any moment, and asks after each step
// and each start whether what the node says of every transaction is true.
//
// R19: what was accepted is not lost.
func TestCrashesLoseNothing(t *testing.T) {
	sequences := 200
	if testing.Short() {
		sequences = 40
	}
	if os.Getenv("GRAPEVINE_SOAK") != "" {
		sequences = 10_000
	}
	atLeast(t, sequences)
	b := newBench(t, 5, vfs.NewMem())
	cfg := b.cfg
	require.NoError(t, b.Close())
	var ending sync.WaitGroup // of failed stores, which take their time
	defer ending.Wait()
	rapid.Check(t, func(rt *rapid.T) {
		w := newCrashes(rt, b, cfg, &ending)
		defer w.end()
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			w.step()
		}
		w.crash()
	})
}

// atLeast has rapid check as many cases in this test.
func atLeast(t *testing.T, cases int) {
	checks := flag.Lookup("rapid.checks")
	before := checks.Value.String()
	if n, err := strconv.Atoi(before); err == nil && n >= cases {
		return
	}
	require.NoError(t, checks.Value.Set(strconv.Itoa(cases)))
	t.Cleanup(func() { require.NoError(t, checks.Value.Set(before)) })
}

// crashes is a node, its disk, and what is known without asking it.
type crashes struct {
	*rapid.T
	*bench

	cfg    Config
	ending *sync.WaitGroup
	disk   *crashdisk.Disk
	faults *crashdisk.Faults
	narrow bool // the pool is small
	dying  bool // the power goes while this step is done

	deeds  []*deed
	byID   map[wire.TxID]int // of deeds
	calls  []*call           // submissions that have begun
	points map[wire.BlockID]*point
	before *point // the head at the last look
	safe   uint64 // the height that is on disk
}

// call is a Submit that is between two of its steps.
type call struct {
	deed   *deed
	pooled bool
	put    bool // the disk has taken it
}

const (
	bank          = 100 // the key that has all the money, and pays in blocks only
	crashWallets  = 2   // keys after it
	crashBlocks   = 5   // of a fork at most
	crashEndowed  = 60_000
	crashLoseable = 40_000
)

func newCrashes(t *rapid.T, b *bench, cfg Config, ending *sync.WaitGroup) *crashes {
	w := &crashes{
		T: t, bench: b, cfg: cfg, ending: ending, narrow: rapid.Bool().Draw(t, "narrow"),
		byID: make(map[wire.TxID]int), points: make(map[wire.BlockID]*point),
	}
	if w.narrow {
		w.cfg.Mempool.MaxCount, w.cfg.Mempool.MaxPerSender, w.cfg.Mempool.MaxWaiting, w.cfg.Mempool.MaxNonceGap = 8, 4, 4, 2
	}
	w.at(20)
	w.start(crashdisk.New())
	genesis := &point{ref: w.chain.Head(), accounts: make(map[wire.Address]ledger.Account)}
	for _, a := range w.Genesis().Allocations {
		genesis.credit(a.Address, a.Amount)
	}
	w.points[genesis.ref.ID], w.before = genesis, genesis
	first := w.on(genesis, 1)
	for i := range crashWallets {
		w.pay(first, i, crashEndowed)
	}
	w.add(first, 1)
	return w
}

// start opens the node on a disk.
func (w *crashes) start(disk *crashdisk.Disk) {
	w.disk, w.faults, w.calls = disk, crashdisk.WithFaults(disk), nil
	w.cfg.FS = w.faults
	n, err := New(w.cfg)
	require.NoError(w, err)
	w.bench.Node = n
}

// end ends the node without a word.
func (w *crashes) end() {
	if w.store.Err() == nil {
		_ = w.bench.Node.Close()
		return
	}
	store := w.store
	w.ending.Go(func() { _ = store.Close() })
	require.NoError(w, w.home.lock.Close())
}

func (w *crashes) pick(n int, what string) int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return rapid.SampledFrom(all).Draw(w.T, what)
}

func (w *crashes) one(in int, what string) bool { return w.pick(in, what) == 0 }

func (w *crashes) wallet(i int) wire.Address { return keyfile.Address(benchKey(bank + 1 + byte(i))) }

// step does one thing, and looks.
func (w *crashes) step() {
	act := rapid.SampledFrom(acts).Draw(w.T, "act")
	switch {
	case act.crash:
		w.crash()
		return
	case w.one(8, "power goes meanwhile"):
		w.crashDuring(act.do)
		return
	}
	act.do(w)
	w.look(false)
}

type act struct {
	name  string
	do    func(*crashes)
	crash bool
}

func (a act) String() string { return a.name }

var acts = []act{
	{name: "submit", do: (*crashes).submit},
	{name: "submit", do: (*crashes).submit},
	{name: "submit", do: (*crashes).submit},
	{name: "begin to submit", do: (*crashes).begin},
	{name: "begin to submit", do: (*crashes).begin},
	{name: "go on submitting", do: (*crashes).goOn},
	{name: "go on submitting", do: (*crashes).goOn},
	{name: "go on submitting", do: (*crashes).goOn},
	{name: "submit privately", do: (*crashes).submitPrivately},
	{name: "submit privately", do: (*crashes).submitPrivately},
	{name: "embargo ends", do: (*crashes).endsEmbargo},
	{name: "embargo ends", do: (*crashes).endsEmbargo},
	{name: "peer sends", do: (*crashes).peerSends},
	{name: "peer sends", do: (*crashes).peerSends},
	{name: "block", do: (*crashes).block},
	{name: "block", do: (*crashes).block},
	{name: "block", do: (*crashes).block},
	{name: "fork", do: (*crashes).fork},
	{name: "fork", do: (*crashes).fork},
	{name: "time goes by", do: (*crashes).wait},
	{name: "time goes by", do: (*crashes).wait},
	{name: "ends are written", do: (*crashes).flush},
	{name: "ends are written", do: (*crashes).flush},
	{name: "snapshot", do: (*crashes).snapshot},
	{name: "disk fails", do: (*crashes).fail},
	{name: "disk heals", do: (*crashes).heal},
	{name: "crash", crash: true},
	{name: "crash", crash: true},
}

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
		body.ExpiresAt = uint64(w.clock.UnixMilli()) + uint64(500*(1+w.pick(8, "expires")))
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
		if err := w.store.PutLocalTx(c.deed.tx.Tx(), w.clock); err == nil {
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
	w.chain.expire()
	w.chain.retryEarly()
	w.private.sweep()
}

func (w *crashes) flush() { _ = w.chain.locals.flush() }

// snapshot writes down what the pool holds. Whoever asks for it has that, too.
func (w *crashes) snapshot() {
	w.saveSnapshot()
	for _, d := range w.deeds {
		d.public = d.public || w.chain.HasTx(d.tx.ID())
	}
}

func (w *crashes) fail() {
	if !w.one(4, "at all") { // it takes a while to heal
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

// crash takes the power away, and starts the node again.
func (w *crashes) crash() { w.restartOn(w.disk.Crash(w.lost())) }

// lost says what a loss of power leaves of what was not synced.
func (w *crashes) lost() vfs.CrashCloneCfg {
	percent := rapid.SampledFrom([]int{0, 50, 100}).Draw(w.T, "percent that stays")
	return vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(rapid.Uint64().Draw(w.T, "luck"), 0))}
}

// crashDuring is crash while something is done, before one of its writes.
func (w *crashes) crashDuring(do func(*crashes)) {
	w.dying = true
	disk, lost := w.disk, w.lost()
	var left *crashdisk.Disk
	w.faults.Before(1+w.pick(6, "write"), func() { left = disk.Crash(lost) })
	do(w)
	w.dying = false
	if left == nil {
		left = disk.Crash(lost)
	}
	w.restartOn(left)
}

func (w *crashes) restartOn(left *crashdisk.Disk) {
	w.Logf("the power goes")
	w.end()
	w.start(left)
	require.GreaterOrEqual(w, w.chain.Head().Height, w.safe)
	w.look(true)
	if w.one(2, "snapshot is read") {
		w.loadSnapshot(context.Background())
		w.look(false)
	}
}
