package shapes

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/grapevine-p2p/grapevine/wire"
)

// Wallets returns n keys that follow from seed alone. They are for networks
// that nobody trusts with anything.
func Wallets(seed uint64, n int) []ed25519.PrivateKey {
	keys := make([]ed25519.PrivateKey, n)
	for i := range keys {
		from := sha256.Sum256(binary.BigEndian.AppendUint64(
			binary.BigEndian.AppendUint64([]byte("grapevine/testnet/wallet/1"), seed), uint64(i)))
		keys[i] = ed25519.NewKeyFromSeed(from[:])
	}
	return keys
}

// Config of a Load.
type Config struct {
	Seed          uint64
	Samples       []Sample             // walked in an order that Seed picks, each from its first row
	Wallets       []ed25519.PrivateKey // at least as many as any sample has senders
	Network       wire.NetworkID
	MinFeePerByte uint64 // the network's floor; a tip of the lowest rank pays just this
	ExpiresAt     uint64 // unix ms, 0 for never; rows too small to carry it go without
}

// Validate says everything that is wrong with c.
func (c Config) Validate() error {
	var errs []error
	refuse := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(c.Samples) == 0 {
		refuse("Samples holds %d samples, want at least one", len(c.Samples))
	}
	for _, s := range c.Samples {
		if len(s.Rows) == 0 {
			refuse("sample %s has no rows", s.Name)
		}
		if n := s.Senders(); n > len(c.Wallets) {
			refuse("sample %s has %d senders, but there are %d Wallets", s.Name, n, len(c.Wallets))
		}
		for i, r := range s.Rows {
			if r.Size < 1 || r.Size > MaxRow {
				refuse("sample %s, row %d: size is %d, want 1 to %d", s.Name, i, r.Size, MaxRow)
			}
		}
	}
	return errors.Join(errs...)
}

// MaxRow bounds the size of a row, in bytes. It leaves room for the next larger
// size that exists.
const MaxRow = wire.MaxTx - 8

// Draft is one transaction to come: all of it but its nonce.
type Draft struct {
	Wallet int // index of the sender in Config.Wallets
	Row    Row
	Rate   uint64 // fee per byte

	to     wire.Address
	amount uint64 // below 128, so that one byte more is one value away
	filler [32]byte
}

// Load is an endless sequence of drafts.
type Load struct {
	cfg       Config // set by New, then constant
	addresses []wire.Address
	ranks     [][]uint64

	rng    *rand.Rand // owned, with what follows, by the caller of Next
	sample int
	row    int
	owner  map[int]int // wallet of each sender, in this pass
}

// New returns the load that cfg describes.
func New(cfg Config) (*Load, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	l := &Load{cfg: cfg, rng: rand.New(rand.NewPCG(cfg.Seed, 0))}
	for _, key := range cfg.Wallets {
		l.addresses = append(l.addresses, Address(key))
	}
	for _, s := range cfg.Samples {
		l.ranks = append(l.ranks, s.ranks())
	}
	l.turn()
	return l, nil
}

// Address is the account of key.
func Address(key ed25519.PrivateKey) wire.Address {
	return wire.Address(key.Public().(ed25519.PublicKey))
}

// turn begins a pass over some sample: its senders become wallets anew.
func (l *Load) turn() {
	l.sample, l.row = l.rng.IntN(len(l.cfg.Samples)), 0
	wallets := l.rng.Perm(len(l.cfg.Wallets))
	l.owner = make(map[int]int)
	for _, r := range l.cfg.Samples[l.sample].Rows {
		if _, ok := l.owner[r.Sender]; !ok {
			l.owner[r.Sender] = wallets[len(l.owner)]
		}
	}
}

// Next returns the next draft. Not safe for concurrent use.
func (l *Load) Next() Draft {
	if l.row == len(l.cfg.Samples[l.sample].Rows) {
		l.turn()
	}
	row := l.cfg.Samples[l.sample].Rows[l.row]
	d := Draft{
		Wallet: l.owner[row.Sender],
		Row:    row,
		Rate:   l.cfg.MinFeePerByte + l.ranks[l.sample][l.row],
		to:     l.addresses[l.rng.IntN(len(l.addresses))],
		amount: 1 + l.rng.Uint64N(127),
	}
	for i := 0; i < len(d.filler); i += 8 {
		binary.LittleEndian.PutUint64(d.filler[i:], l.rng.Uint64())
	}
	l.row++
	return d
}

// Sign makes the transaction of d with the given nonce. Safe for concurrent
// use; the same d and nonce give the same bytes.
func (l *Load) Sign(d Draft, nonce uint64) *wire.Transaction {
	payload := make([]byte, d.Row.Size)
	// ChaCha8 never fails to fill, and its output does not compress.
	_, _ = rand.NewChaCha8(d.filler).Read(payload)
	for size := d.Row.Size; ; size++ {
		if body, ok := l.fit(d, nonce, size, payload); ok {
			return wire.SignTx(l.cfg.Network, l.cfg.Wallets[d.Wallet], body)
		}
	}
}

// fit finds the fullest body whose transaction has just the given size: a
// transfer that expires, a transfer, or payload alone. The payload fills what
// is left; where its length prefix skips a size, an amount one byte longer
// makes up for it.
func (l *Load) fit(d Draft, nonce uint64, size int, payload []byte) (*wire.TxBody, bool) {
	bare := wire.TxBody{
		Version: wire.TxVersion, Sender: l.addresses[d.Wallet], Nonce: nonce, Fee: uint64(size) * d.Rate,
	}
	transfer := bare
	transfer.To, transfer.Amount = d.to, d.amount
	wider := transfer
	wider.Amount += 128
	forms := []wire.TxBody{transfer, wider, bare}
	if l.cfg.ExpiresAt != 0 {
		expiring, widerExpiring := transfer, wider
		expiring.ExpiresAt, widerExpiring.ExpiresAt = l.cfg.ExpiresAt, l.cfg.ExpiresAt
		forms = append([]wire.TxBody{expiring, widerExpiring}, forms...)
	}
	for i := range forms {
		body := &forms[i]
		room := size - sizeOf(body)
		if room < 0 {
			continue
		}
		// At most a tag and two lengths that grow take room beside the bytes.
		for n := room; n >= max(0, room-8); n-- {
			body.Payload = payload[:n]
			if sizeOf(body) == size {
				return body, true
			}
		}
	}
	return nil, false
}

// sizeOf is the size of the transaction that will carry body.
func sizeOf(body *wire.TxBody) int {
	return wire.NewTransaction(body.AppendTo(nil), wire.Signature{}).Size()
}
