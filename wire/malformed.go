package wire

// Malformed says what is wrong with bytes that are not a message. Every error
// of a Decode function wraps one, together with the message and the field.
type Malformed string

const (
	// Truncated: the bytes end inside a field.
	Truncated Malformed = "truncated"
	// TooLarge: a message, a field or a number is over its limit.
	TooLarge Malformed = "over its size limit"
	// TrailingBytes: what follows is no field, such as padding.
	TrailingBytes Malformed = "trailing bytes"
	// UnknownField: a canonical message has a field that the schema lacks.
	UnknownField Malformed = "unknown field"
	// WrongType: the wire type is not that of the field.
	WrongType Malformed = "wrong wire type"
	// NotCanonical: there is another, shorter or ordered form of the same.
	NotCanonical Malformed = "not in canonical form"
	// WrongLength: a field or element of fixed or least length has another.
	WrongLength Malformed = "wrong length"
	// TooMany: a list has more elements than its limit.
	TooMany Malformed = "too many elements"
	// Missing: a required field is not there.
	Missing Malformed = "missing"
	// BadText: a text is not printable UTF-8.
	BadText Malformed = "text is not printable UTF-8"
	// UnknownVersion proves nothing against the sender: a newer node may be
	// honest.
	UnknownVersion Malformed = "unknown version"
)

func (m Malformed) Error() string { return "wire: " + string(m) }
