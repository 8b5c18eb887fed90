package ledger

import (
	"bytes"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// transfer is a transaction as the ledger applies it.
type transfer struct {
	from   wire.Address
	to     wire.Address // zero if nothing is moved
	nonce  uint64
	amount uint64
	fee    uint64
}

func (t transfer) spends() uint64 { return t.fee + t.amount }

// readTransfer decodes a transaction's body and checks that it does not
// contradict itself.
func readTransfer(tx *wire.Transaction) (transfer, *wire.TxBody, error) {
	body, err := wire.DecodeTxBody(tx.Body())
	if err != nil {
		return transfer{}, nil, err
	}
	_, carry := bits.Add64(body.Fee, body.Amount, 0)
	switch {
	case carry != 0:
		return transfer{}, nil, fmt.Errorf("%w: fee and amount exceed 64 bits together", validation.BadTerms)
	case body.Amount != 0 && body.To.IsZero():
		return transfer{}, nil, fmt.Errorf("%w: an amount of %d to nobody", validation.BadTerms, body.Amount)
	case body.Nonce == math.MaxUint64:
		return transfer{}, nil, fmt.Errorf("%w: no nonce can follow %d", validation.BadTerms, body.Nonce)
	}
	return transfer{from: body.Sender, to: body.To, nonce: body.Nonce, amount: body.Amount, fee: body.Fee}, body, nil
}

// diff is a change of accounts that is not installed yet.
type diff struct {
	base    map[wire.Address]Account // never written
	changed map[wire.Address]Account
}

func newDiff(base map[wire.Address]Account) *diff {
	return &diff{base: base, changed: make(map[wire.Address]Account)}
}

func (d *diff) get(a wire.Address) Account {
	if acct, ok := d.changed[a]; ok {
		return acct
	}
	return d.base[a]
}

// credit and debit cannot overflow: the balances always add up to the supply.
func (d *diff) credit(a wire.Address, amount uint64) {
	acct := d.get(a)
	acct.Balance += amount
	d.changed[a] = acct
}

func (d *diff) debit(a wire.Address, amount uint64) { d.credit(a, -amount) }

// apply carries out t, or returns why the sender's account forbids it and
// changes nothing.
func (d *diff) apply(t transfer, feeTo wire.Address) error {
	acct := d.get(t.from)
	if err := affords(acct, t.nonce, t.spends()); err != nil {
		return err
	}
	if t.nonce > acct.Nonce {
		return fmt.Errorf("%w: nonce %d, want %d", validation.NonceTooFar, t.nonce, acct.Nonce)
	}
	acct.Nonce++
	acct.Balance -= t.spends()
	d.changed[t.from] = acct
	if t.amount != 0 {
		d.credit(t.to, t.amount)
	}
	if t.fee != 0 {
		d.credit(feeTo, t.fee)
	}
	return nil
}

// revert undoes apply, given that nothing applied since is left.
func (d *diff) revert(t transfer, feeTo wire.Address) {
	if t.fee != 0 {
		d.debit(feeTo, t.fee)
	}
	if t.amount != 0 {
		d.debit(t.to, t.amount)
	}
	acct := d.get(t.from)
	acct.Balance += t.spends()
	acct.Nonce = t.nonce
	d.changed[t.from] = acct
}

// states returns the accounts that differ from the base, by address.
func (d *diff) states() []AccountState {
	var states []AccountState
	for a, acct := range d.changed {
		if d.base[a] != acct {
			states = append(states, AccountState{Address: a, Account: acct})
		}
	}
	sortStates(states)
	return states
}

func sortStates(states []AccountState) {
	slices.SortFunc(states, func(a, b AccountState) int { return bytes.Compare(a.Address[:], b.Address[:]) })
}

// affords reports why an account cannot take a transaction, now or ever.
func affords(acct Account, nonce, spends uint64) error {
	switch {
	case nonce < acct.Nonce:
		return fmt.Errorf("%w: nonce %d, the account is at %d", validation.StaleNonce, nonce, acct.Nonce)
	case spends > acct.Balance:
		return fmt.Errorf("%w: spends %d of %d", validation.Overdraft, spends, acct.Balance)
	}
	return nil
}
