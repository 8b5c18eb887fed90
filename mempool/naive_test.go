package mempool_test

import (
	"bytes"
	"cmp"
	"errors"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/mempool"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// naive is a pool that is too simple to be wrong: a list of transactions that
// is sorted anew for every question.
type naive struct {
	config   mempool.Config
	txs      []validation.CheckedTx
	accounts map[wire.Address]mempool.Account // as last told
	sources  map[wire.TxID]mempool.Source     // of what is in, or was
	floor    float64                          // fee per byte
	floorAt  time.Time                        // until when the floor has sunk
}

func newNaive(c mempool.Config) *naive {
	return &naive{config: c, accounts: make(map[wire.Address]mempool.Account), sources: make(map[wire.TxID]mempool.Source)}
}

func byNonce(a, b validation.CheckedTx) int { return cmp.Compare(a.Terms().Nonce, b.Terms().Nonce) }

func (n *naive) chain(a wire.Address) []validation.CheckedTx {
	var txs []validation.CheckedTx
	for _, tx := range n.txs {
		if tx.Terms().Sender == a {
			txs = append(txs, tx)
		}
	}
	slices.SortFunc(txs, byNonce)
	return txs
}

func (n *naive) senders() []wire.Address {
	var all []wire.Address
	for _, tx := range n.txs {
		all = append(all, tx.Terms().Sender)
	}
	slices.SortFunc(all, func(a, b wire.Address) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(all)
}

func rate(tx validation.CheckedTx) float64 { return float64(tx.Terms().Fee) / float64(tx.Size()) }

// ranked is a transaction with what decides who yields to whom.
type ranked struct {
	tx         validation.CheckedTx
	executable bool
	floor      float64
}

func (n *naive) ranked(a wire.Address) []ranked {
	var out []ranked
	next := n.accounts[a].Nonce
	for i, tx := range n.chain(a) {
		r := ranked{tx: tx, executable: tx.Terms().Nonce == next, floor: rate(tx)}
		if r.executable {
			next++
		}
		if i > 0 {
			r.floor = min(r.floor, out[i-1].floor)
		}
		out = append(out, r)
	}
	return out
}

func (n *naive) all() []ranked {
	var out []ranked
	for _, a := range n.senders() {
		out = append(out, n.ranked(a)...)
	}
	return out
}

func (n *naive) find(id wire.TxID) (ranked, bool) {
	for _, r := range n.all() {
		if r.tx.ID() == id {
			return r, true
		}
	}
	return ranked{}, false
}

// worst is the one that leaves first: waiting before executable, of those that
// wait one of whoever takes most bytes or places, lowest floor, then highest nonce
// if it waits, highest id; of one chain the last. Of those who take as much it is
// the preferred source that loses.
func (n *naive) worst(inBytes bool, preferred *mempool.Source) ranked {
	var waits, tails []ranked
	takes := make(map[mempool.Source]int)
	for _, a := range n.senders() {
		last := ranked{}
		for _, r := range n.ranked(a) {
			from := n.sources[r.tx.ID()]
			switch {
			case r.executable:
				last = r
				continue
			case from == mempool.Own:
				takes[from] = 0
			case inBytes:
				takes[from] += r.tx.Size()
			default:
				takes[from]++
			}
			waits = append(waits, r)
		}
		if last.executable {
			tails = append(tails, last)
		}
	}
	if len(waits) == 0 {
		return slices.MinFunc(tails, worse)
	}
	loses := slices.MinFunc(slices.Collect(maps.Keys(takes)), func(a, b mempool.Source) int {
		if takes[a] == takes[b] && preferred != nil && (a == *preferred) != (b == *preferred) {
			if a == *preferred {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(takes[b], takes[a]), cmp.Compare(a, b))
	})
	waits = slices.DeleteFunc(waits, func(r ranked) bool { return n.sources[r.tx.ID()] != loses })
	return slices.MinFunc(waits, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(a.floor, b.floor), byNonce(b.tx, a.tx), worse(a, b))
	})
}

func worse(a, b ranked) int {
	aid, bid := a.tx.ID(), b.tx.ID()
	return cmp.Or(cmp.Compare(a.floor, b.floor), bytes.Compare(bid[:], aid[:]))
}

func (n *naive) drop(id wire.TxID) {
	n.txs = slices.DeleteFunc(n.txs, func(tx validation.CheckedTx) bool { return tx.ID() == id })
}

func sum[N int | uint64](txs []validation.CheckedTx, of func(validation.CheckedTx) N) (total N) {
	for _, tx := range txs {
		total += of(tx)
	}
	return total
}

func spends(tx validation.CheckedTx) uint64 { return tx.Terms().Spends }

func removal(tx validation.CheckedTx, why mempool.Reason, by wire.TxID) mempool.Removal {
	return mempool.Removal{ID: tx.ID(), Tx: tx, Reason: why, By: by}
}

// sink lowers the floor in steps of which 64 halve it: longer ones where half of
// the pool is taken, and to nothing where not even a quarter is.
func (n *naive) sink(now time.Time) {
	step := n.config.FloorHalfLife / 64
	ready := len(n.txs) - n.waiting()
	bytes := sum(n.txs, validation.CheckedTx.Size) * ready / max(1, len(n.txs))
	if ready < n.config.MaxCount/4 && bytes < n.config.MaxBytes/4 {
		n.floor = 0
	} else if ready < n.config.MaxCount/2 && bytes < n.config.MaxBytes/2 {
		step = n.config.FloorHalfLife / 2 / 64
	}
	for n.floor > 0 && !n.floorAt.Add(step).After(now) {
		n.floorAt = n.floorAt.Add(step)
		if n.floor *= 0.98922801319397548412912495906558; n.floor < 0.5 {
			n.floor = 0
		}
	}
}

func (n *naive) Add(now time.Time, tx validation.CheckedTx, account mempool.Account, from mempool.Source) (mempool.Change, error) {
	n.sink(now)
	return n.add(now, tx, account, from, false)
}

func (n *naive) Return(now time.Time, tx validation.CheckedTx, account mempool.Account, from mempool.Source) (mempool.Change, error) {
	n.sink(now)
	var change mempool.Change
	t := tx.Terms()
	n.settle(t.Sender, account, nil, &change)
	n.accounts[t.Sender] = account
	before := spends(tx)
	for _, o := range n.chain(t.Sender) {
		if o.Terms().Nonce < t.Nonce {
			before += spends(o)
		}
	}
	err := n.admit(now, tx, account, 0)
	if errors.Is(err, validation.Overdraft) && before <= account.Balance {
		if _, taken := n.at(t.Sender, t.Nonce); !taken {
			for chain := n.chain(t.Sender); sum(chain, spends)+spends(tx) > account.Balance; chain = n.chain(t.Sender) {
				last := chain[len(chain)-1]
				n.drop(last.ID())
				change.Removed = append(change.Removed, removal(last, mempool.Invalid, wire.TxID{}))
			}
		}
	}
	then, err := n.add(now, tx, account, from, true)
	then.Removed = append(change.Removed, then.Removed...)
	return then, err
}

func (n *naive) add(now time.Time, tx validation.CheckedTx, account mempool.Account, from mempool.Source, returns bool) (mempool.Change, error) {
	var change mempool.Change
	least, life := n.floor, n.config.MinLife
	if returns {
		least, life = 0, 0
	}
	t := tx.Terms()
	n.settle(t.Sender, account, nil, &change)
	n.accounts[t.Sender] = account

	if err := n.admit(now, tx, account, life); err != nil {
		return change, err
	}
	if !returns && n.over() {
		return change, validation.PoolFull
	}
	mortal := slices.ContainsFunc(n.chain(t.Sender), func(o validation.CheckedTx) bool {
		return o.Terms().Nonce < t.Nonce && o.Terms().ExpiredAt(millis(now.Add(life)))
	})
	before, floor := slices.Clone(n.txs), 0.0
	removed := slices.Clone(change.Removed)
	if old, ok := n.at(t.Sender, t.Nonce); ok {
		n.drop(old.ID())
		removed = append(removed, removal(old, mempool.Replaced, tx.ID()))
	}
	n.txs = append(n.txs, tx)
	was, known := n.sources[tx.ID()]
	n.sources[tx.ID()] = from
	undo := func() {
		n.txs = before
		if delete(n.sources, tx.ID()); known {
			n.sources[tx.ID()] = was
		}
	}
	if me, _ := n.find(tx.ID()); me.floor < least {
		undo()
		return change, validation.PoolFull
	}
	for {
		me, _ := n.find(tx.ID())
		chain := n.ranked(t.Sender)
		var victim ranked
		why := mempool.Evicted
		switch {
		case len(chain) > n.config.MaxPerSender:
			victim, why = chain[len(chain)-1], mempool.Displaced
		case n.over() && !returns:
			if victim = n.worst(len(n.txs) <= n.config.MaxCount, &from); victim.executable {
				floor = max(floor, math.Floor(victim.floor)+1)
			}
		case !me.executable && !returns && n.waiting() > n.config.MaxWaiting:
			victim = n.worst(false, &from)
		case !me.executable && !returns && n.waitingBytes() > n.config.MaxWaitingBytes:
			victim = n.worst(true, &from)
		default:
			change.Removed = removed
			change.Added = []wire.TxID{tx.ID()}
			if floor > n.floor {
				n.floor, n.floorAt = floor, now
			}
			return change, nil
		}
		vt := victim.tx.Terms()
		yields := vt.Sender == t.Sender && vt.Nonce > t.Nonce ||
			vt.Sender != t.Sender && !mortal && !victim.executable && me.executable ||
			vt.Sender != t.Sender && !mortal && !victim.executable && !me.executable &&
				n.sources[victim.tx.ID()] != mempool.Own && (n.sources[victim.tx.ID()] != from || victim.floor < me.floor) ||
			vt.Sender != t.Sender && !mortal && victim.executable && me.executable && victim.floor < me.floor
		if !yields {
			undo()
			return change, validation.PoolFull
		}
		n.drop(victim.tx.ID())
		left := removal(victim.tx, why, tx.ID())
		left.Waited = why == mempool.Evicted && !victim.executable
		removed = append(removed, left)
	}
}

func (n *naive) at(a wire.Address, nonce uint64) (validation.CheckedTx, bool) {
	for _, tx := range n.chain(a) {
		if tx.Terms().Nonce == nonce {
			return tx, true
		}
	}
	return validation.CheckedTx{}, false
}

func (n *naive) admit(now time.Time, tx validation.CheckedTx, account mempool.Account, life time.Duration) error {
	t := tx.Terms()
	chain := n.chain(t.Sender)
	total := sum(chain, spends) + t.Spends
	old, taken := n.at(t.Sender, t.Nonce)
	if taken {
		total -= spends(old)
	}
	next := n.NextNonce(t.Sender, account.Nonce)
	switch {
	case slices.ContainsFunc(n.txs, func(o validation.CheckedTx) bool { return o.ID() == tx.ID() }):
		return validation.AlreadyKnown
	case t.ExpiresAt != 0 && t.ExpiresAt < millis(now.Add(life)):
		return validation.Expired
	case t.Nonce < account.Nonce:
		return validation.StaleNonce
	case t.Nonce > next+uint64(n.config.MaxNonceGap):
		return validation.NonceTooFar
	case taken && (t.Fee*100 < old.Terms().Fee*uint64(100+n.config.ReplacePercent) || t.Fee <= old.Terms().Fee || rate(tx) <= rate(old)):
		return validation.Underpriced
	case total > account.Balance:
		return validation.Overdraft
	}
	return nil
}

func (n *naive) waiting() int {
	waiting := 0
	for _, r := range n.all() {
		if !r.executable {
			waiting++
		}
	}
	return waiting
}

func (n *naive) waitingBytes() (bytes int) {
	for _, r := range n.all() {
		if !r.executable {
			bytes += r.tx.Size()
		}
	}
	return bytes
}

// took is what somebody has waiting.
type took struct{ places, bytes int }

func (n *naive) takes() map[mempool.Source]took {
	takes := make(map[mempool.Source]took)
	for _, r := range n.all() {
		if from := n.sources[r.tx.ID()]; !r.executable {
			t := takes[from]
			takes[from] = took{t.places + 1, t.bytes + r.tx.Size()}
		}
	}
	return takes
}

func (n *naive) over() bool {
	return len(n.txs) > n.config.MaxCount || sum(n.txs, validation.CheckedTx.Size) > n.config.MaxBytes
}

func (n *naive) Adopt(id wire.TxID) {
	if _, in := n.find(id); in {
		n.sources[id] = mempool.Own
	}
}

func (n *naive) Trim(now time.Time) (change mempool.Change, more bool) {
	n.sink(now)
	for range n.config.MaxSweep {
		if !n.over() {
			break
		}
		victim := n.worst(len(n.txs) <= n.config.MaxCount, nil)
		n.drop(victim.tx.ID())
		left := removal(victim.tx, mempool.Evicted, wire.TxID{})
		left.Waited = !victim.executable
		change.Removed = append(change.Removed, left)
		if floor := math.Floor(victim.floor) + 1; victim.executable && floor > n.floor {
			n.floor, n.floorAt = floor, now
		}
	}
	return change, n.over()
}

func (n *naive) NextNonce(a wire.Address, confirmed uint64) uint64 {
	for _, tx := range n.chain(a) {
		if tx.Terms().Nonce == confirmed {
			confirmed++
		}
	}
	return confirmed
}

func (n *naive) settle(a wire.Address, account mempool.Account, included []wire.TxID, change *mempool.Change) {
	if len(n.chain(a)) == 0 {
		return
	}
	n.accounts[a] = account
	for _, tx := range n.chain(a) {
		if tx.Terms().Nonce < account.Nonce {
			why := mempool.Invalid
			if slices.Contains(included, tx.ID()) {
				why = mempool.Included
			}
			n.drop(tx.ID())
			change.Removed = append(change.Removed, removal(tx, why, wire.TxID{}))
		}
	}
	for chain := n.chain(a); sum(chain, spends) > account.Balance; chain = n.chain(a) {
		last := chain[len(chain)-1]
		n.drop(last.ID())
		change.Removed = append(change.Removed, removal(last, mempool.Invalid, wire.TxID{}))
	}
}

func (n *naive) Settle(now time.Time, accounts []mempool.Touched, included []wire.TxID) mempool.Change {
	var change mempool.Change
	for _, t := range accounts {
		n.settle(t.Address, t.Account, included, &change)
	}
	for _, id := range included {
		if r, ok := n.find(id); ok {
			n.drop(id)
			change.Removed = append(change.Removed, removal(r.tx, mempool.Included, wire.TxID{}))
		}
	}
	expired, _ := n.Expire(now)
	change.Removed = append(change.Removed, expired.Removed...)
	return change // the floor sank with Expire
}

func (n *naive) Expire(now time.Time) (change mempool.Change, more bool) {
	txs := slices.Clone(n.txs)
	slices.SortFunc(txs, func(a, b validation.CheckedTx) int {
		aid, bid := a.ID(), b.ID()
		return cmp.Or(cmp.Compare(a.Terms().ExpiresAt, b.Terms().ExpiresAt), bytes.Compare(bid[:], aid[:]))
	})
	for _, tx := range txs {
		if tx.Terms().ExpiredAt(millis(now)) && len(change.Removed) < n.config.MaxSweep {
			n.drop(tx.ID())
			change.Removed = append(change.Removed, removal(tx, mempool.Expired, wire.TxID{}))
		}
	}
	n.sink(now)
	return change, len(change.Removed) == n.config.MaxSweep
}

// Template asks, for each place in the block anew, who may come next.
func (n *naive) Template(now time.Time, maxBytes, maxCount int) []validation.CheckedTx {
	var picked []validation.CheckedTx
	out := make(map[wire.Address]bool)
	next := make(map[wire.Address]int)
	for len(picked) < maxCount {
		var best ranked
		for _, a := range n.senders() {
			chain := n.ranked(a)
			if out[a] || next[a] >= len(chain) || !chain[next[a]].executable {
				continue
			}
			r := chain[next[a]]
			rid, bid := r.tx.ID(), best.tx.ID()
			if best.tx.IsZero() || rate(r.tx) > rate(best.tx) || rate(r.tx) == rate(best.tx) && bytes.Compare(rid[:], bid[:]) < 0 {
				best = r
			}
		}
		if best.tx.IsZero() {
			return picked
		}
		a := best.tx.Terms().Sender
		if best.tx.Terms().ExpiredAt(millis(now)) || sum(picked, validation.CheckedTx.Size)+best.tx.Size() > maxBytes {
			out[a] = true
			continue
		}
		next[a]++
		picked = append(picked, best.tx)
	}
	return picked
}

// Match holds everything against everything.
func (n *naive) Match(salt wire.Salt, want []wire.ShortID) (found []validation.CheckedTx) {
	for _, tx := range n.txs {
		if slices.Contains(want, wire.ShortIDOf(salt, tx.ID())) {
			found = append(found, tx)
		}
	}
	return found
}

// Estimate follows the definition: the order in which blocks would take what is executable.
func (n *naive) Estimate(aheadBytes ...int) []uint64 {
	order := n.Template(time.UnixMilli(0), math.MaxInt, math.MaxInt)
	var prices []uint64
	for _, left := range aheadBytes {
		price := n.floor
		floors := make(map[wire.Address]float64)
		for _, tx := range order {
			sender := tx.Terms().Sender
			if floor, ok := floors[sender]; !ok || rate(tx) < floor {
				floors[sender] = rate(tx)
			}
			if left -= tx.Size(); left < 0 {
				price = max(price, math.Floor(floors[sender])+1)
				break
			}
		}
		prices = append(prices, uint64(math.Ceil(price)))
	}
	return prices
}
