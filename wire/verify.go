package wire

import (
	stded25519 "crypto/ed25519"
	"crypto/sha256"
	"math/rand/v2"

	"github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
)

// What is signed begins with its domain and the network, so that no signature
// counts for another kind of message or on another network.
const (
	txDomain     = "grapevine/tx/1"
	headerDomain = "grapevine/header/1"
	batchDomain  = "grapevine/batch/1"
)

// zip215 holds the rules of ZIP-215. They are those of batches, so that one
// signature has one verdict, checked alone or among others. The standard
// library follows other rules: it must not verify anything of ours.
func zip215() *ed25519.Options {
	return &ed25519.Options{Verify: ed25519.VerifyOptionsZIP_215}
}

func signed(domain string, network NetworkID, body []byte) []byte {
	msg := make([]byte, 0, len(domain)+len(network)+len(body))
	msg = append(msg, domain...)
	msg = append(msg, network[:]...)
	return append(msg, body...)
}

func sign(domain string, network NetworkID, key stded25519.PrivateKey, body []byte) Signature {
	return Signature(stded25519.Sign(key, signed(domain, network, body)))
}

// VerifyTx reports whether sender signed the transaction for this network.
func VerifyTx(network NetworkID, sender Address, t *Transaction) bool {
	return ed25519.VerifyWithOptions(sender[:], signed(txDomain, network, t.body), t.signature(), zip215())
}

// VerifyHeader reports whether the producer that the header names signed it
// for this network. Whether it was its turn is not checked.
func VerifyHeader(network NetworkID, h *Header) bool {
	return ed25519.VerifyWithOptions(h.body.Producer[:], signed(headerDomain, network, h.bodyBytes), h.sig[:], zip215())
}

// TxBatch verifies many transactions at less cost than one by one. Not safe
// for concurrent use.
type TxBatch struct {
	network  NetworkID
	options  *ed25519.Options
	verifier *ed25519.BatchVerifier
	members  []member
}

type member struct {
	sender Address
	tx     *Transaction
}

// equationSize is how many signatures one batch equation covers at most. More
// would save little (64 cost 3 % less each than 16), and one that is bad has
// all of its equation verified one by one.
const equationSize = 16

// NewTxBatch makes a batch with room for capacity transactions; more can be
// added.
func NewTxBatch(network NetworkID, capacity int) *TxBatch {
	return &TxBatch{
		network:  network,
		options:  zip215(),
		verifier: ed25519.NewBatchVerifierWithCapacity(min(capacity, equationSize)),
		members:  make([]member, 0, capacity),
	}
}

// Add asks whether sender signed t.
func (b *TxBatch) Add(sender Address, t *Transaction) {
	b.members = append(b.members, member{sender, t})
}

// Verify gives one answer per Add, in order, each equal to that of VerifyTx,
// and empties the batch. If all are good it costs about half of single checks.
// A bad one makes its neighbours, in the order of Add, about twice as dear: a
// caller who knows whose fault they would be adds those next to each other.
func (b *TxBatch) Verify() []bool {
	if len(b.members) == 0 {
		return nil
	}
	valid := make([]bool, 0, len(b.members))
	weights := b.coefficients()
	equations := (len(b.members) + equationSize - 1) / equationSize
	for i := range equations {
		from, to := i*len(b.members)/equations, (i+1)*len(b.members)/equations
		valid = append(valid, b.verify(b.members[from:to], weights)...)
	}
	clear(b.members) // so that the batch keeps no transaction in memory
	b.members = b.members[:0]
	return valid
}

// verify solves one equation, and where it does not hold looks at each of its
// members alone.
func (b *TxBatch) verify(members []member, weights *rand.ChaCha8) []bool {
	if len(members) == 1 {
		return []bool{VerifyTx(b.network, members[0].sender, members[0].tx)}
	}
	for i := range members {
		m := &members[i]
		b.verifier.AddWithOptions(m.sender[:], signed(txDomain, b.network, m.tx.body), m.tx.signature(), b.options)
	}
	_, valid := b.verifier.Verify(weights)
	b.verifier.Reset()
	return valid
}

// coefficients is the source of the numbers by which the batch equation
// weighs its members. They are a hash of everything in the batch (an id covers
// body and signature), so that who chooses the members cannot choose them
// against the weights, and the same batch is always checked in the same way.
func (b *TxBatch) coefficients() *rand.ChaCha8 {
	h := sha256.New()
	h.Write([]byte(batchDomain))
	h.Write(b.network[:])
	for i := range b.members {
		h.Write(b.members[i].sender[:])
		h.Write(b.members[i].tx.id[:])
	}
	var seed [32]byte
	h.Sum(seed[:0])
	return rand.NewChaCha8(seed)
}
