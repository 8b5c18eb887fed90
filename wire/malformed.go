package wire

// Malformed says what is wrong with bytes that are not a message. Every error
// of a Decode function wraps one, together with the message and the field.
type Malformed string

const (
	Truncated     Malformed = "truncated"
	TooLarge      Malformed = "over its size limit"
	TrailingBytes Malformed = "trailing bytes"
	UnknownField  Malformed = "unknown field"
	WrongType     Malformed = "wrong wire type"
	NotCanonical  Malformed = "not in canonical form"
	WrongLength   Malformed = "wrong length"
	TooMany       Malformed = "too many elements"
	Missing       Malformed = "missing"
	BadText       Malformed = "text is not printable UTF-8"
	// UnknownVersion proves nothing against the sender: a newer node may be
	// honest.
	UnknownVersion Malformed = "unknown version"
)

func (m Malformed) Error() string { return "wire: " + string(m) }
