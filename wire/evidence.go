package wire

// Evidence shows that a producer signed two headers for one slot.
type Evidence struct {
	First, Second *Header
}

// The field numbers of Evidence begin where those of CompactBlock end, so
// that the first byte on the block topic tells them apart.
const (
	evidenceFirst  = 3
	evidenceSecond = 4
	evidenceTag    = evidenceFirst<<3 | 2
)

// IsEvidence reports whether b, as carried by the block topic, can be evidence
// and not a compact block.
func IsEvidence(b []byte) bool { return len(b) > 0 && b[0] == evidenceTag }

// DecodeEvidence keeps b: the caller must not change it. Whether the headers
// prove anything is not checked.
func DecodeEvidence(b []byte) (*Evidence, error) {
	e := new(Evidence)
	r := canonicalReader("evidence", b, MaxEvidence)
	for r.next() {
		switch r.num {
		case evidenceFirst:
			e.First = r.header("first")
		case evidenceSecond:
			e.Second = r.header("second")
		default:
			r.skip()
		}
	}
	r.require(evidenceFirst, "first")
	r.require(evidenceSecond, "second")
	if r.err != nil {
		return nil, r.err
	}
	return e, nil
}

// AppendTo appends the canonical form.
func (e *Evidence) AppendTo(dst []byte) []byte {
	dst = appendAlways(dst, evidenceFirst, e.First.raw)
	return appendAlways(dst, evidenceSecond, e.Second.raw)
}
