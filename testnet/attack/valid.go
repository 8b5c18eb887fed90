package attack

import (
	"crypto/ed25519"
	"encoding/binary"
	"time"

	"github.com/grapevine-p2p/grapevine/testnet/scenario"
	"github.com/grapevine-p2p/grapevine/testnet/shapes"
	"github.com/grapevine-p2p/grapevine/testnet/sim"
	"github.com/grapevine-p2p/grapevine/wire"
)

// spamAccounts is how many accounts a valid-spam attacker sends from unless its params say
// otherwise, so that no bound on one sender holds it up and no transaction waits for another.
// After so many it begins anew, with the next nonce: what it sends then is valid where what it
// sent before has come into blocks, and waits for that where it has not.
const spamAccounts = 4096

const validSpam = "valid-spam"

// Accounts are those that a genesis must have money for where a takes part at
// a seat. Most kinds own nothing.
func Accounts(a *scenario.Attacker, seat int) []wire.Address {
	r, err := ruleOf(a)
	v, ok := r.(*valid)
	if err != nil || !ok {
		return nil
	}
	var owned []wire.Address
	for _, key := range v.keys(seat) {
		owned = append(owned, shapes.Address(key))
	}
	return owned
}

// valid sends more transactions than blocks can take. There is nothing wrong
// with any of them.
type valid struct {
	honest
	pace                pace
	size, fee, accounts int
	wallets             []ed25519.PrivateKey
	sent                uint64
}

func newValidSpam(p *params) rule {
	return &valid{
		pace:     pace{perSecond: p.number("per_second", "transactions to each peer", scenario.SpamPerSecond, 1, 10_000)},
		size:     p.number("size", "bytes of a transaction", scenario.SpamSize, scenario.MinTx, wire.MaxTx),
		fee:      p.number("fee", "times the network's floor that it pays per byte", 1, 1, 1000),
		accounts: p.number("accounts", "accounts that each send once before any sends again", spamAccounts, 1, 1<<16),
	}
}

// keys are the accounts of a seat. No seed of a scenario gives the same.
func (v *valid) keys(seat int) []ed25519.PrivateKey {
	return shapes.Wallets(1<<63|uint64(seat), v.accounts)
}

func (v *valid) supply(seat sim.Seat) { v.wallets = v.keys(seat.Number) }

func (v *valid) beat(n *node, now time.Time) {
	n.publish(n.txTopic(), v.pace.due(now), func() []byte {
		tx := v.sign(n)
		v.sent++
		return tx
	})
}

// sign makes the next transaction: of the size asked for, or of one a few bytes
// smaller where lengths of lengths leave a hole.
func (v *valid) sign(n *node) []byte {
	accounts := uint64(len(v.wallets))
	key := v.wallets[v.sent%accounts]
	body := &wire.TxBody{
		Version: wire.TxVersion, Sender: shapes.Address(key), Nonce: v.sent / accounts,
		Fee: n.seat.Genesis.Limits.MinFeePerByte * uint64(v.fee) * uint64(v.size),
	}
	for room := v.size; ; {
		body.Payload = binary.BigEndian.AppendUint64(make([]byte, 0, room), v.sent)[:min(room, 8)]
		body.Payload = append(body.Payload, make([]byte, room-len(body.Payload))...)
		over := wire.NewTransaction(body.AppendTo(nil), wire.Signature{}).Size() - v.size
		if over <= 0 {
			return wire.SignTx(n.network, key, body).Bytes()
		}
		room -= over
	}
}
