package node

import (
	"cmp"
	"maps"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// deed is a transaction of TestCrashesLoseNothing, and what is known of it without asking the
// node.
type deed struct {
	tx     validation.CheckedTx
	to     wire.Address
	secret bool      // it was submitted privately at some time
	put    bool      // it may be on disk: a call of its user came that far
	acked  bool      // its user was told that it is on its way
	public bool      // others have it
	reborn bool      // its user submitted it again since the last start
	state  api.State // at the last look
	end    string    // that the store had at the last look
}

func (d *deed) terms() validation.TxTerms { return d.tx.Terms() }

// point is a block and the accounts after it, found by carrying out its transactions.
type point struct {
	ref      ledger.Ref
	parent   *point
	time     uint64
	feeTo    wire.Address
	txs      []*deed
	accounts map[wire.Address]ledger.Account
}

// take carries out a transaction if the account allows it.
func (p *point) take(d *deed) bool {
	terms := d.terms()
	from := p.accounts[terms.Sender]
	if terms.ExpiredAt(p.time) || terms.Nonce != from.Nonce || terms.Spends > from.Balance {
		return false
	}
	p.accounts[terms.Sender] = ledger.Account{Nonce: from.Nonce + 1, Balance: from.Balance - terms.Spends}
	p.credit(d.to, terms.Spends-terms.Fee)
	p.credit(p.feeTo, terms.Fee)
	p.txs = append(p.txs, d)
	return true
}

func (p *point) credit(a wire.Address, amount uint64) {
	account := p.accounts[a]
	account.Balance += amount
	p.accounts[a] = account
}

// next is a block on p of that time, without transactions yet.
func (p *point) next(time uint64, feeTo wire.Address) *point {
	return &point{parent: p, time: time, feeTo: feeTo, accounts: maps.Clone(p.accounts)}
}

// holds returns what the chain up to p holds, and where.
func (p *point) holds() map[wire.TxID]ledger.Ref {
	held := make(map[wire.TxID]ledger.Ref)
	for at := p; at.parent != nil; at = at.parent {
		for _, d := range at.txs {
			held[d.tx.ID()] = at.ref
		}
	}
	return held
}

// forbids tells whether the accounts at p leave no room for d: its nonce is used, or its
// sender can pay for it no more after whatever may come before it.
func (w *crashes) forbids(p *point, d *deed) bool {
	terms := d.terms()
	account := p.accounts[terms.Sender]
	if terms.Nonce < account.Nonce {
		return true
	}
	most := make(map[uint64]uint64) // by nonce
	for _, o := range w.deeds {
		if t := o.terms(); t.Sender == terms.Sender && t.Nonce >= account.Nonce && t.Nonce < terms.Nonce {
			most[t.Nonce] = max(most[t.Nonce], t.Spends)
		}
	}
	spends := terms.Spends
	for _, s := range most {
		spends += s
	}
	return spends > account.Balance
}

// head is where the node's chain ends.
func (w *crashes) head() *point {
	at, ok := w.points[w.chain.Head().ID]
	require.True(w, ok, "the head is a block that was given to it")
	return at
}

// look holds the node against what is known. started is true right after a start.
func (w *crashes) look(started bool) {
	head := w.head()
	w.lookAtChain(head)
	held := head.holds()
	well := w.store.Err() == nil
	for _, d := range w.deeds {
		s, err := w.txStatus(d.tx.ID())
		require.NoError(w, err)
		if s.State != d.state {
			w.Logf("%s is %s, was %s: %s", d, s.State, d.state, s.Reason)
		}
		at, included := held[d.tx.ID()]
		require.Equal(w, included, s.State == api.Included || s.State == api.Final, "%s is %s", d, s.State)
		if included {
			_, final := w.chain.ends()
			require.Equal(w, at.Height <= final.Height, s.State == api.Final, "%s", d)
		}
		w.lookAt(d, s, head, started)
		if well {
			w.lookAtEnd(d, started)
		}
		if d.state = s.State; started {
			d.reborn = false
		}
	}
	w.lookAtLocals(held)
	w.before = head
	if well && len(w.chain.held.queue) == 0 {
		w.safe = head.ref.Height
	}
}

func (w *crashes) lookAtChain(head *point) {
	for a, account := range head.accounts {
		require.Equal(w, account, w.chain.ledger.Account(a))
	}
	next := head.next(uint64(w.clock.UnixMilli()), wire.Address{})
	for _, tx := range w.chain.pool.Template(w.clock, 1<<20, 1000) {
		d := w.deeds[w.byID[tx.ID()]]
		require.True(w, next.take(d), "%s is for the next block", d)
	}
}

// lookAt holds what is said of a transaction against what is known.
func (w *crashes) lookAt(d *deed, s api.TxStatus, head *point, started bool) {
	id := d.tx.ID()
	switch s.State {
	case api.Unknown:
		require.False(w, d.acked, "%s was accepted, and is lost", d)
	case api.Pending:
		require.True(w, d.put || d.public || !started, "%s: nobody was told that it is accepted", d)
	case api.Accepted:
		require.True(w, d.put || d.public || !started, "%s: nobody was told that it is accepted", d)
		_, early := w.chain.locals.early[id]
		if !w.chain.HasTx(id) {
			require.True(w, s.Local, "%s is nowhere", d)
			require.True(w, early || w.private.has(id) && w.chain.locals.hushed(id) || w.called(d), "%s waits nowhere", d)
		}
	case api.Replaced:
		by := w.deeds[w.byID[*s.By]]
		require.Equal(w, d.terms().Nonce, by.terms().Nonce)
		require.Equal(w, d.terms().Sender, by.terms().Sender)
		_, kept, err := w.store.LocalTx(*s.By)
		require.NoError(w, err)
		require.True(w, !started || by.public || kept, "%s: replaced by %s, which nobody has", d, by)
	case api.Expired:
		require.True(w, d.terms().ExpiredAt(uint64(w.latest.UnixMilli())), "%s", d)
	case api.Evicted:
		require.True(w, w.narrow, "%s: the pool has room", d)
		w.lookAtEviction(d, started)
	case api.Included, api.Final: // look has compared them with the chain
	case api.Invalid:
		record, _, err := w.store.LocalTx(id)
		require.NoError(w, err)
		if d.state != api.Invalid && !started || started && record.End == "" { // what is decided stays, whatever comes
			require.True(w, w.forbids(head, d) || !started && w.forbids(w.before, d), "%s: its account allows it", d)
		}
	}
	if started && d.acked && s.State == api.Pending {
		require.Contains(w, w.announcer.queue, id, "%s is announced again", d)
	}
}

// lookAtEviction demands that whoever was just told that others pay more finds the pool full of them, or
// closed to what pays so little.
func (w *crashes) lookAtEviction(d *deed, started bool) {
	record, _, err := w.store.LocalTx(d.tx.ID())
	require.NoError(w, err)
	if d.state == api.Evicted || record.End != "" && (started || record.End == d.end) { // it was decided before
		return
	}
	pool, rate := w.chain.pool, float64(d.terms().Fee)/float64(d.tx.Size())
	if pool.Stats().FeeFloor > rate {
		return
	}
	worth := w.worth(d)
	for _, o := range w.deeds { // before it, and evicted with it
		if s, err := w.txStatus(o.tx.ID()); err == nil && s.State == api.Evicted && o.terms().Sender == d.terms().Sender && o.terms().Nonce < d.terms().Nonce {
			worth = min(worth, float64(o.terms().Fee)/float64(o.tx.Size()))
		}
	}
	require.GreaterOrEqual(w, pool.Len(), w.cfg.Mempool.MaxCount, "%s: the pool has room", d)
	for tx := range pool.All() {
		o := w.deeds[w.byID[tx.ID()]]
		if pool.Executable(tx.ID()) && tx.Terms().Sender != d.terms().Sender && d.state == api.Pending {
			require.GreaterOrEqual(w, w.worth(o), worth, "%s stays, and pays less than %s", o, d)
		}
	}
}

// worth is the least fee per byte of a transaction and what is pooled of its sender before it.
func (w *crashes) worth(d *deed) float64 {
	worth := float64(d.terms().Fee) / float64(d.tx.Size())
	for _, tx := range w.chain.pool.BySender(d.terms().Sender) {
		if tx.Terms().Nonce < d.terms().Nonce {
			worth = min(worth, float64(tx.Terms().Fee)/float64(tx.Size()))
		}
	}
	return worth
}

// lookAtEnd demands that an end on disk is one until its user submits the transaction again.
func (w *crashes) lookAtEnd(d *deed, started bool) {
	record, local, err := w.store.LocalTx(d.tx.ID())
	require.NoError(w, err)
	require.True(w, local || !d.acked, "%s is not on disk", d)
	if d.end != "" && !d.reborn {
		require.Equal(w, d.end, record.End, "%s", d)
	}
	if started && local && !d.put {
		require.Fail(w, "on disk unasked", "%s", d)
	}
	d.end = record.End
}

// lookAtLocals demands that everything that was accepted and has not ended is somewhere.
func (w *crashes) lookAtLocals(held map[wire.TxID]ledger.Ref) {
	l := w.chain.locals
	for id, t := range l.txs {
		d := w.deeds[w.byID[id]]
		if at, ok := held[id]; !t.due && (ok || !t.block.IsZero()) {
			require.Equal(w, at.ID, t.block, "%s: its block", d)
			require.Contains(w, []string{"", endFinal}, t.end, "%s is in a block", d)
		}
		_, early := l.early[id]
		_, invalid := l.invalid[id]
		require.Equal(w, t.end == endInvalid && !t.due, invalid, "%s: %q", d, t.end)
		require.False(w, early && t.end != "", "%s waits, and has ended: %s", d, t.end)
		require.Equal(w, t.due, slices.Contains(l.ends, id), "%s", d)
		if t.durable && t.live() && !w.called(d) {
			somewhere := early || w.chain.pool.Has(id) || t.quiet && w.private.has(id)
			require.True(w, somewhere, "%s lives nowhere", d)
			require.True(w, d.secret || !t.quiet, "%s is public, and not announced", d)
		}
	}
	for id := range l.early {
		require.Contains(w, l.txs, id)
	}
	for _, d := range w.deeds { // what its user was told is followed until its end is on disk
		if t := l.txs[d.tx.ID()]; d.acked && d.end == "" && w.store.Err() == nil {
			followed := t != nil && (t.durable || t.before != nil && t.before.durable) // or a call for it is under way
			require.True(w, followed, "%s is forgotten", d)
		}
	}
}

// sorted returns the transactions in the order of nonces.
func (w *crashes) sorted() []*deed {
	return slices.SortedFunc(slices.Values(w.deeds), func(a, b *deed) int {
		return cmp.Compare(a.terms().Nonce, b.terms().Nonce)
	})
}
