package peerscore

import "fmt"

// PeerID names a peer: the bytes of its libp2p identity.
type PeerID string

// Offence is something that a peer did and should not have done.
type Offence uint8

// The offences. There is none with the value zero, so that a forgotten
// assignment is refused rather than charged.
const (
	_             Offence = iota
	InvalidTx             // passed on a transaction that no honest node could have believed
	InvalidHeader         // passed on a header or a list of short ids that is provably wrong
	InvalidBlock          // gave a body that is not the one the header signs
	BadFrame              // sent bytes that are no message of the protocol it chose
	LyingAnswer           // answered a request with what was not asked for
	BudgetBreach          // sent more than its budget of messages, bytes or ids
	WrongNetwork          // claimed to be of our network and sent what belongs to another
	Avoidable             // passed on what a fixed rule told it to drop
	BrokenPromise         // announced something and did not send it
	SlowReader            // did not read what we sent

	endOfOffences
)

// Offences is the number of different offences; valid ones are 1 … Offences.
const Offences = int(endOfOffences) - 1

var offenceNames = [...]string{
	InvalidTx:     "invalid_tx",
	InvalidHeader: "invalid_header",
	InvalidBlock:  "invalid_block",
	BadFrame:      "bad_frame",
	LyingAnswer:   "lying_answer",
	BudgetBreach:  "budget_breach",
	WrongNetwork:  "wrong_network",
	Avoidable:     "avoidable",
	BrokenPromise: "broken_promise",
	SlowReader:    "slow_reader",
}

// String is the offence's name in metrics and events.
func (o Offence) String() string {
	if !o.valid() {
		return fmt.Sprintf("offence(%d)", uint8(o))
	}
	return offenceNames[o]
}

// Proven says whether an offence is established by bytes that we hold. The
// others are inferred from what did not happen in time, which our own stall or
// a bad line explains just as well; they never ban.
func (o Offence) Proven() bool {
	switch o {
	case BrokenPromise, SlowReader:
		return false
	default:
		return o.valid()
	}
}

func (o Offence) valid() bool { return o > 0 && o < endOfOffences }

// ParseOffence is the inverse of [Offence.String].
func ParseOffence(name string) (Offence, error) {
	for o := Offence(1); o.valid(); o++ {
		if offenceNames[o] == name {
			return o, nil
		}
	}
	return 0, fmt.Errorf("peerscore: no offence is called %q", name)
}
