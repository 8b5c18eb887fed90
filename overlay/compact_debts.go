package overlay

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/peerscore"
)

const (
	// maxDebtors bounds the peers of which is remembered what they kept back: more than
	// there are links, since some come and go.
	maxDebtors = 4 * compactLinks
	// debtsAge is how long it takes for half of it to be forgotten: some dozen blocks.
	debtsAge = 10 * time.Minute
)

// errWithheld says that a peer keeps back parts of blocks that it owes, while others do not.
var errWithheld = errors.New("overlay: keeps back parts of blocks, while others do not")

// debtBook follows what peers owe of blocks and never give. It is for one goroutine.
type debtBook struct {
	accounts map[peerscore.PeerID]*compact.Account
	aged     time.Time
}

func newDebtBook() *debtBook {
	return &debtBook{accounts: make(map[peerscore.PeerID]*compact.Account)}
}

// add books what a block left.
func (d *debtBook) add(now time.Time, s compact.Settled) {
	if now.Sub(d.aged) > debtsAge {
		d.aged = now
		for id, a := range d.accounts {
			if a.Age(); a.Owed == 0 {
				delete(d.accounts, id)
			}
		}
	}
	a := d.accounts[s.Link]
	if a == nil {
		if len(d.accounts) >= maxDebtors {
			d.forgetBest()
		}
		a = &compact.Account{Link: s.Link}
		d.accounts[s.Link] = a
	}
	a.Add(s)
}

// forgetBest makes room: of who owes least there is least to remember.
func (d *debtBook) forgetBest() {
	best := slices.MinFunc(d.list(), func(a, b compact.Account) int {
		return cmp.Or(cmp.Compare(a.Unpaid, b.Unpaid), cmp.Compare(a.Owed, b.Owed))
	})
	delete(d.accounts, best.Link)
}

func (d *debtBook) list() []compact.Account {
	list := make([]compact.Account, 0, len(d.accounts))
	for _, a := range d.accounts {
		list = append(list, *a)
	}
	slices.SortFunc(list, func(a, b compact.Account) int { return cmp.Compare(a.Link, b.Link) })
	return list
}

// convict lists who is to be charged now. What they are charged for is settled by it: the
// next charge takes as much again.
func (d *debtBook) convict() []peerscore.PeerID {
	out := compact.Withholders(d.list())
	for _, id := range out {
		delete(d.accounts, id)
	}
	return out
}

// settled books what a peer owed of a block.
func (c *compactor) settled(now time.Time, s compact.Settled) {
	if s.Unpaid > 0 {
		call3(c.cfg.Hooks.BlockLapse, s.Block, s.Link, compact.Withheld)
	}
	c.debts.add(now, s)
}

func (c *compactor) judgeDebts() {
	for _, id := range c.debts.convict() {
		c.court.judge(peer.ID(id), errWithheld)
	}
}

// excuse forgives a peer what it owes when the stream broke on which it would have come.
func (c *compactor) excuse(p peer.ID) {
	c.tell(func(now time.Time) []compact.Action {
		c.machine.Excuse(now, peerscore.PeerID(p))
		return nil
	})
}
