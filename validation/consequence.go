package validation

import (
	"errors"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

// Consequence is what an error means for the peer that sent the message.
type Consequence struct {
	Verdict Verdict
	// Tx and Header are the offences that the error proves against the sender
	// of a transaction, and of a header, compact block or evidence; 0 is none.
	Tx, Header peerscore.Offence
	// Avoidable says that a refusal may be marked by ByFixedRule: a relay pays
	// a little for many of those.
	Avoidable bool
}

// consequences is the one table from every error of this package to what it
// means. TestEveryErrorHasAConsequence fails for one that has no row.
var consequences = map[error]Consequence{
	BadEncoding:  {Verdict: Reject, Tx: peerscore.InvalidTx, Header: peerscore.InvalidHeader},
	BadTerms:     {Verdict: Reject, Tx: peerscore.InvalidTx, Header: peerscore.InvalidHeader},
	BadSignature: {Verdict: Reject, Tx: peerscore.InvalidTx, Header: peerscore.InvalidHeader},
	BadHeader:    {Verdict: Reject, Tx: peerscore.InvalidHeader, Header: peerscore.InvalidHeader},
	BadTurn:      {Verdict: Reject, Tx: peerscore.InvalidHeader, Header: peerscore.InvalidHeader},
	BadShortIDs:  {Verdict: Reject, Tx: peerscore.InvalidHeader, Header: peerscore.InvalidHeader},
	BadEvidence:  {Verdict: Reject, Tx: peerscore.InvalidHeader, Header: peerscore.InvalidHeader},
	// A wrong body that we put together ourselves proves nothing, and one that
	// answers a request has its own offence there.
	BadTxRoot: {Verdict: Reject},
	BadBlock:  {Verdict: Reject}, // the producer's, and the producer is no peer

	UnknownVersion: {},
	Expired:        {}, // it may have waited for us: docs/decisions/0013-old-nonces.md
	FeeTooLow:      {Avoidable: true},
	StaleNonce:     {}, // honest nodes send old ones in bulk: the same
	NonceTooFar:    {},
	Overdraft:      {},
	AlreadyKnown:   {},
	PoolFull:       {},
	Underpriced:    {},
	UnknownParent:  {},
	EarlySlot:      {},
	LateSlot:       {},
	BelowFinal:     {},
	KnownInvalid:   {},
	Equivocation:   {},
	Unavailable:    {},
	WrongNetwork:   {},
	WrongAddress:   {},
}

// ConsequenceOf returns the row of the table for err (wrapped or not). What is
// not in it, such as a failure of ours, blames nobody: its row is all zeros.
// No error is Accept.
func ConsequenceOf(err error) Consequence {
	var (
		fault   Fault
		refusal Refusal
	)
	switch {
	case err == nil:
		return Consequence{Verdict: Accept}
	case errors.As(err, &fault):
		return consequences[fault]
	case errors.As(err, &refusal):
		return consequences[refusal]
	}
	return Consequence{}
}

// Judge turns the outcome of a check into a verdict: no error is Accept, a
// [Fault] is Reject, and everything else is Ignore. A bare [wire.Malformed] is
// Ignore too, since bytes from our own disk can be malformed; a [Checker] adds
// the Fault where the bytes came from outside.
func Judge(err error) Verdict { return ConsequenceOf(err).Verdict }
