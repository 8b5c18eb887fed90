package overlay_test

import (
	"testing"

	"github.com/grapevine-p2p/grapevine/overlay"
)

// FuzzParseBanned: what a ban names reads as the same ban again.
func FuzzParseBanned(f *testing.F) {
	for _, s := range []string{
		"203.0.113.7", "203.0.113.7/24", "2001:db8::/32", "::ffff:1.2.3.4", "::ffff:1.2.3.4/120", "fe80::1%eth0",
		"12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X", "0.0.0.0/0", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ban, err := overlay.ParseBanned(s)
		if err != nil {
			return
		}
		if again, err := overlay.ParseBanned(ban.String()); err != nil || again != ban {
			t.Fatalf("%q is %v, which is %v, %v", s, ban, again, err)
		}
	})
}
