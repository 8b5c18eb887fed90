package wire_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/wire"
)

type addressVector struct {
	Name   string          `json:"name"`
	Prefix string          `json:"prefix"`
	Text   string          `json:"text"`
	Key    string          `json:"key,omitempty"`
	Error  wire.BadAddress `json:"error,omitempty"`
}

func addressVectors() vectorFile[addressVector] {
	key := fill(1, 32)
	text := referenceBech32("gv", key, bech32m)
	good := func(name, prefix, text string, key []byte) addressVector {
		return addressVector{Name: name, Prefix: prefix, Text: text, Key: hex.EncodeToString(key)}
	}
	bad := func(name string, kind wire.BadAddress, text string) addressVector {
		return addressVector{Name: name, Prefix: "gv", Text: text, Error: kind}
	}
	last := text[:len(text)-1] + "q"
	if text[len(text)-1] == 'q' {
		last = text[:len(text)-1] + "p"
	}
	// The last of 52 groups holds four bits of padding; this sets one.
	unpadded := make([]byte, 33)
	copy(unpadded, key)
	return vectorFile[addressVector]{
		About: "address: bech32m text and the network's prefix in, key or error out",
		Vectors: []addressVector{
			good("ordinary", "gv", text, key),
			good("upper case", "gv", strings.ToUpper(text), key),
			good("key of zeros", "gv", referenceBech32("gv", make([]byte, 32), bech32m), make([]byte, 32)),
			good("longest prefix", "gvtestnet1234567", referenceBech32("gvtestnet1234567", key, bech32m), key),
			good("a prefix with a 1 in it", "gv1x", referenceBech32("gv1x", key, bech32m), key),
			bad("another network's", wire.AddressWrongPrefix, referenceBech32("gvt", key, bech32m)),
			bad("checksum of bech32, not bech32m", wire.AddressBadChecksum, referenceBech32("gv", key, bech32)),
			bad("last character changed", wire.AddressBadChecksum, last),
			bad("two characters swapped", wire.AddressBadChecksum, text[:10]+text[11:12]+text[10:11]+text[12:]),
			bad("mixed case", wire.AddressBadText, text[:20]+strings.ToUpper(text[20:])),
			bad("a character outside the charset", wire.AddressBadText, text[:20]+"b"+text[21:]),
			bad("31 bytes", wire.AddressWrongLength, referenceBech32("gv", key[:31], bech32m)),
			bad("33 bytes", wire.AddressWrongLength, referenceBech32("gv", unpadded, bech32m)),
			bad("no bytes", wire.AddressWrongLength, referenceBech32("gv", nil, bech32m)),
			bad("too long for the checksum", wire.AddressWrongLength, referenceBech32("gv", make([]byte, 64), bech32m)),
			bad("nothing", wire.AddressBadText, ""),
			bad("no separator", wire.AddressBadText, "gvqqqqqqqqqqqq"),
			bad("the prefix alone", wire.AddressBadText, "gv1"),
			bad("hexadecimal", wire.AddressWrongPrefix, strings.Repeat("01", 32)),
			bad("a space before", wire.AddressWrongPrefix, " "+text),
			bad("a space after", wire.AddressBadText, text+" "),
		},
	}
}

func TestAddressVectors(t *testing.T) {
	for _, v := range vectors(t, "address", addressVectors()) {
		t.Run(v.Name, func(t *testing.T) {
			a, err := wire.ParseAddress(v.Prefix, v.Text)
			if v.Error != "" {
				require.ErrorIs(t, err, v.Error)
				require.True(t, a.IsZero())
				return
			}
			require.NoError(t, err)
			require.Equal(t, v.Key, a.String())
			require.Equal(t, strings.ToLower(v.Text), a.Encode(v.Prefix))
		})
	}
}

func TestAddressAgainstReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := drawBytes(t, 32)
		prefix := rapid.StringMatching(`[a-z][a-z0-9]{0,15}`).Draw(t, "prefix")
		text := wire.Address(key).Encode(prefix)
		require.Equal(t, referenceBech32(prefix, key, bech32m), text)
		again, err := wire.ParseAddress(prefix, text)
		require.NoError(t, err)
		require.Equal(t, wire.Address(key), again)

		// BIP-350: any change of up to four characters is found.
		damaged := []byte(text)
		for range rapid.IntRange(1, 4).Draw(t, "changes") {
			at := rapid.IntRange(len(prefix)+1, len(text)-1).Draw(t, "at")
			damaged[at] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"[rapid.IntRange(0, 31).Draw(t, "to")]
		}
		if got, err := wire.ParseAddress(prefix, string(damaged)); err == nil {
			require.Equal(t, text, string(damaged), "a damaged address was read as %v", got)
		}
	})
}

func TestValidPrefix(t *testing.T) {
	for _, good := range []string{"gv", "g", "gv1", "gvtestnet1234567"} {
		require.True(t, wire.ValidPrefix(good), good)
	}
	for _, bad := range []string{"", "GV", "1gv", "gv-t", "gv t", "gvä", "gvtestnet12345678"} {
		require.False(t, wire.ValidPrefix(bad), bad)
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, v := range addressVectors().Vectors {
		f.Add(v.Prefix, v.Text)
	}
	f.Fuzz(func(t *testing.T, prefix, text string) {
		a, err := wire.ParseAddress(prefix, text)
		if err == nil && !strings.EqualFold(a.Encode(strings.ToLower(prefix)), text) {
			t.Fatalf("%q is read as %v, which is %q", text, a, a.Encode(prefix))
		}
	})
}
