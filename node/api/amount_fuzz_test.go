package api

import "testing"

// FuzzParseAmount: an amount has one text.
func FuzzParseAmount(f *testing.F) {
	for _, s := range []string{"0", "1500", "18446744073709551615", "18446744073709551616", "007", "-1", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if a, err := ParseAmount(s); err == nil && a.String() != s {
			t.Fatalf("%q is %s", s, a)
		}
	})
}
