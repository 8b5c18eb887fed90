package validation

// Verdict is what becomes of a message that arrived from a peer.
type Verdict uint8

// The harmless verdict is the zero value, so that a forgotten assignment blames
// nobody.
const (
	Ignore Verdict = iota // drop it; nobody is to blame
	Accept                // believe it and pass it on
	Reject                // drop it; the peer that sent it is to blame
)

// String returns the verdict's name in lower case.
func (v Verdict) String() string {
	switch v {
	case Ignore:
		return "ignore"
	case Accept:
		return "accept"
	case Reject:
		return "reject"
	}
	return "unknown verdict"
}
