package api

import (
	"fmt"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// Amount is a count of smallest units, a fee or a nonce. In JSON it is a decimal
// string, because many JSON readers lose precision above 2^53.
type Amount uint64

// maxAmountDigits is the length of the largest uint64 in decimal.
const maxAmountDigits = 20

// ParseAmount reads the one decimal form of an amount: digits only, no sign, no
// leading zero.
func ParseAmount(s string) (Amount, error) {
	if s == "" || len(s) > maxAmountDigits || (len(s) > 1 && s[0] == '0') {
		return 0, fmt.Errorf("%.24q is not a decimal number without sign and leading zeros, at most 2^64-1", s)
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("%.24q is not a decimal number: only digits are allowed", s)
		}
	}
	v, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%.24q is more than 2^64-1", s)
	}
	return Amount(v), nil
}

// String is the decimal form.
func (a Amount) String() string { return strconv.FormatUint(uint64(a), 10) }

// MarshalText makes an amount a string in JSON.
func (a Amount) MarshalText() ([]byte, error) { return strconv.AppendUint(nil, uint64(a), 10), nil }

// UnmarshalText reads what MarshalText writes and nothing else.
func (a *Amount) UnmarshalText(b []byte) error {
	v, err := ParseAmount(string(b))
	if err != nil {
		return err
	}
	*a = v
	return nil
}

// Schema describes an amount in the OpenAPI document.
func (Amount) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Type:        huma.TypeString,
		Pattern:     "^(0|[1-9][0-9]{0,19})$",
		Description: "A number of up to 64 bits as a decimal string.",
		Examples:    []any{"1500"},
	}
}
