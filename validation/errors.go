package validation

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/grapevine-p2p/grapevine/wire"
)

// Fault is a defect that the message itself proves: no honest node could have
// passed it on. Its text is a short machine code, fit for an API or a metric.
type Fault string

// The faults. Where a message has several, the first one met is reported.
const (
	BadEncoding  Fault = "bad_encoding"  // not the canonical form of any message, or longer than genesis allows
	BadTerms     Fault = "bad_terms"     // a transaction's body contradicts itself
	BadSignature Fault = "bad_signature" // not signed by whom it names, or for another network
	BadHeader    Fault = "bad_header"    // a header breaks a rule that follows from it, its parent and genesis
	BadTurn      Fault = "bad_turn"      // the producer is not the one that genesis appoints for the slot
	BadShortIDs  Fault = "bad_short_ids" // the list of short ids is not the one that the header signs
	BadTxRoot    Fault = "bad_tx_root"   // the body is not the one that the header signs: whoever put it together is to blame
	BadBlock     Fault = "bad_block"     // the header signs an invalid body: the producer is to blame
	BadEvidence  Fault = "bad_evidence"  // the two headers do not prove an equivocation
)

// Faults returns every Fault there is.
func Faults() []Fault {
	return []Fault{
		BadEncoding, BadTerms, BadSignature, BadHeader, BadTurn,
		BadShortIDs, BadTxRoot, BadBlock, BadEvidence,
	}
}

// Error returns the code as words.
func (f Fault) Error() string { return "validation: " + words(string(f)) }

// Refusal is a reason to drop a message that proves nothing against anybody:
// two honest nodes may judge it differently. Its text is a short machine code.
type Refusal string

// The refusals. WrongNetwork and WrongAddress are for what names its network
// in clear, such as a request of a wallet.
const (
	UnknownVersion Refusal = "unknown_version" // made by newer rules than this node knows
	Expired        Refusal = "expired"         // the transaction's time is over
	FeeTooLow      Refusal = "fee_too_low"     // below the floor of genesis
	StaleNonce     Refusal = "stale_nonce"     // the sender has used the nonce already
	NonceTooFar    Refusal = "nonce_too_far"   // too many nonces before it are missing
	Overdraft      Refusal = "overdraft"       // the sender cannot pay for it
	AlreadyKnown   Refusal = "already_known"
	PoolFull       Refusal = "pool_full"
	Underpriced    Refusal = "underpriced"    // does not pay enough more than what it would replace
	UnknownParent  Refusal = "unknown_parent" // the block before it is missing here
	EarlySlot      Refusal = "early_slot"     // by our clock the slot has not begun
	LateSlot       Refusal = "late_slot"      // by our clock the slot is too old to be gossip
	BelowFinal     Refusal = "below_final"    // would change what is final
	KnownInvalid   Refusal = "known_invalid"  // found invalid before, or builds on such a block
	Equivocation   Refusal = "equivocation"   // not the first header seen for its producer and slot
	Unavailable    Refusal = "unavailable"    // we could not judge: the application failed, or time ran out
	WrongNetwork   Refusal = "wrong_network"
	WrongAddress   Refusal = "wrong_address"
)

// Refusals returns every Refusal there is.
func Refusals() []Refusal {
	return []Refusal{
		UnknownVersion, Expired, FeeTooLow, StaleNonce, NonceTooFar, Overdraft,
		AlreadyKnown, PoolFull, Underpriced, UnknownParent, EarlySlot, LateSlot,
		BelowFinal, KnownInvalid, Equivocation, Unavailable, WrongNetwork, WrongAddress,
	}
}

// Error returns the code as words.
func (r Refusal) Error() string { return "validation: " + words(string(r)) }

func words(code string) string { return strings.ReplaceAll(code, "_", " ") }

// RuleBroken returns the machine code of the rule that err says was broken, ""
// for nil, and "internal" for an error that names no rule. What is wrong with
// an encoding is more telling than that it is bad, so there the code is that of
// the [wire.Malformed].
func RuleBroken(err error) string {
	var (
		fault     Fault
		malformed wire.Malformed
		refusal   Refusal
	)
	switch {
	case err == nil:
		return ""
	case errors.As(err, &fault) && fault != BadEncoding:
		return string(fault)
	case errors.As(err, &malformed):
		return malformedCode(malformed)
	case fault != "":
		return string(fault)
	case errors.As(err, &refusal):
		return string(refusal)
	}
	return "internal"
}

// fixedRule marks a Refusal that rests on genesis alone.
type fixedRule struct{ error }

func (f fixedRule) Unwrap() error { return f.error }

// ByFixedRule marks a [Refusal] (wrapped or not) as one that every honest relay
// would have given, whatever its state and its clock: see [Chargeable]. The
// mark has no effect where [Consequence] is not Avoidable.
func ByFixedRule(refusal error) error { return fixedRule{refusal} }

// Chargeable reports whether err is a [Refusal] under a fixed rule that an
// honest relay would have applied itself, so that sending many such messages
// may cost a peer: a fee below the floor of genesis. It is false for a Fault,
// which has its own price.
func Chargeable(err error) bool {
	var fixed fixedRule
	return errors.As(err, &fixed) && ConsequenceOf(err).Avoidable
}

// decodeError says what a failure to decode bytes from outside proves.
func decodeError(what string, err error) error {
	var malformed wire.Malformed
	switch {
	case errors.Is(err, wire.UnknownVersion):
		return fmt.Errorf("%w: %s: %w", UnknownVersion, what, err)
	case errors.As(err, &malformed):
		return fmt.Errorf("%w: %s: %w", BadEncoding, what, err)
	default:
		return hookError(err)
	}
}

// hookError keeps what an application says under the names of this package and
// takes everything else for the application's own failure. An answer given
// because time ran out proves nothing, even if it claims a Fault.
func hookError(err error) error {
	var (
		fault   Fault
		refusal Refusal
	)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fmt.Errorf("%w: application: %v", Unavailable, err) //nolint:errorlint // a Fault inside must not show
	case errors.As(err, &fault), errors.As(err, &refusal):
		return err
	default:
		return fmt.Errorf("%w: application: %w", Unavailable, err)
	}
}

// malformedCode is the machine code of what is wrong with bytes.
func malformedCode(m wire.Malformed) string {
	switch m {
	case wire.Truncated:
		return "truncated"
	case wire.TooLarge:
		return "too_large"
	case wire.TrailingBytes:
		return "trailing_bytes"
	case wire.UnknownField:
		return "unknown_field"
	case wire.WrongType:
		return "wrong_type"
	case wire.NotCanonical:
		return "not_canonical"
	case wire.WrongLength:
		return "wrong_length"
	case wire.TooMany:
		return "too_many"
	case wire.Missing:
		return "missing_field"
	case wire.BadText:
		return "bad_text"
	case wire.UnknownVersion:
		return string(UnknownVersion)
	}
	return string(BadEncoding)
}
