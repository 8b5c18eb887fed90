package recon

import "errors"

// Fault says what a peer did wrong in a session. Its text is a short machine
// code.
type Fault string

const (
	// OutOfTurn: a frame that this side cannot send now: an answer that was not
	// asked for, a second one, a request before the last was answered.
	OutOfTurn Fault = "out_of_turn"
	// BadRange: more or other symbols or ids than there can be, or than were asked
	// for.
	BadRange Fault = "bad_range"
	// NotAsked: an id that does not have a short id that was asked for.
	NotAsked Fault = "not_asked"
	// TooOften: exchanges opened faster than OpenGap allows.
	TooOften Fault = "too_often"

	// Stalled: no answer in time.
	Stalled Fault = "stalled"
	// Overworked: peeling cost more than honest symbols can.
	Overworked Fault = "overworked"
	// Inconsistent: the symbols contradict each other.
	Inconsistent Fault = "inconsistent"
	// Undecodable: many more symbols than the difference that they suggest should
	// take, and no difference came out.
	Undecodable Fault = "undecodable"
	// Invented: the symbols say that we have what we do not have.
	Invented Fault = "invented"
	// Withheld: the symbols hold short ids, many of them, to which the peer has no ids.
	Withheld Fault = "withheld"
)

func (f Fault) Error() string { return "recon: peer: " + string(f) }

// Proven reports whether no honest peer can cause the fault. Of the others, all
// but Stalled come about once in some 2³² symbols, and Withheld and Undecodable
// with a pool that is emptied or exchanged during the exchange, with nobody to blame.
func (f Fault) Proven() bool {
	switch f {
	case OutOfTurn, BadRange, NotAsked, TooOften:
		return true
	case Stalled, Overworked, Inconsistent, Undecodable, Invented, Withheld:
		return false
	}
	return false
}

// Why a session ended that no peer is to blame for.
var (
	// ErrAge: the session reached Config.MaxAge; the next one has fresh salts.
	ErrAge = errors.New("recon: session: old enough for fresh salts")
	// ErrOverrun: our set changed too much during one exchange.
	ErrOverrun = errors.New("recon: session: set changed too much during an exchange")
	// ErrTooLarge: our set has more than MaxSize ids.
	ErrTooLarge = errors.New("recon: session: set too large")
	// ErrLate: a Scan took longer than an exchange may.
	ErrLate = errors.New("recon: session: scan took too long")
	// ErrOutOfStep: a scan saw another set than the changes told of.
	ErrOutOfStep = errors.New("recon: session: scanned set is not the one kept")
)
