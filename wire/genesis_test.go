package wire_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/wire"
	"github.com/grapevine-p2p/grapevine/wire/wirepb"
)

func genesis() *wire.Genesis {
	return &wire.Genesis{
		Network: "vine-1", AddressPrefix: "gv", Time: 1_700_000_000_000, SlotMillis: 1000,
		Allocations: []wire.Allocation{{Address: wire.Address(fill(1, 32)), Amount: 1_000_000}, {Address: wire.Address(fill(2, 32)), Amount: 1}},
		Producers: []wire.ProducerSet{
			{Producers: []wire.Address{wire.Address(fill(9, 32)), wire.Address(fill(8, 32))}},
			{Height: 100, Producers: []wire.Address{wire.Address(fill(8, 32))}},
		},
		Rules:  []wire.RuleChange{{Version: 1}},
		Limits: wire.DefaultLimits(),
	}
}

// document is the JSON form of the sample, written by hand.
func document() string {
	address := func(first byte) string { return referenceBech32("gv", fill(first, 32), bech32m) }
	return `{
  "network": "vine-1",
  "address_prefix": "gv",
  "time": 1700000000000,
  "slot_millis": 1000,
  "allocations": [
    {"address": "` + address(1) + `", "amount": "1000000"},
    {"address": "` + address(2) + `", "amount": "1"}
  ],
  "producers": [
    {"height": 0, "producers": ["` + address(9) + `", "` + address(8) + `"]},
    {"height": 100, "producers": ["` + address(8) + `"]}
  ],
  "rules": [{"height": 0, "version": 1}],
  "limits": {
    "min_fee_per_byte": "1",
    "max_tx_bytes": 131072,
    "max_block_bytes": 4194304,
    "max_block_txs": 40000,
    "clock_tolerance_millis": 2000
  }
}
`
}

type documentVector struct {
	Name      string  `json:"name"`
	Document  string  `json:"document"`
	Bytes     hexText `json:"bytes,omitempty"`
	NetworkID string  `json:"network_id,omitempty"`
	Key       string  `json:"key,omitempty"` // that the error must name
}

func documentVectors() vectorFile[documentVector] {
	file := vectorFile[documentVector]{About: "genesis document: JSON text in, canonical bytes and network id, or the key that is wrong, out"}
	good := func(name, doc string, m proto.Message) {
		b := oracle(m)
		sum := sha256.Sum256(b)
		file.Vectors = append(file.Vectors, documentVector{Name: name, Document: doc, Bytes: hexOf(b), NetworkID: hex.EncodeToString(sum[:])})
	}
	// bad replaces one piece of the good document.
	bad := func(name, key, old, with string) {
		doc := strings.Replace(document(), old, with, 1)
		if doc == document() {
			panic("nothing replaced: " + name)
		}
		file.Vectors = append(file.Vectors, documentVector{Name: name, Document: doc, Key: key})
	}
	good("ordinary", document(), sampleGenesis())
	bare := sampleGenesis()
	bare.Allocations = nil
	head, tail, _ := strings.Cut(document(), `"allocations": [`)
	_, tail, _ = strings.Cut(tail, "],")
	good("no allocations", head+`"allocations": [],`+tail, bare)

	bad("an unknown key", "extra", `"network": "vine-1",`, `"network": "vine-1", "extra": 1,`)
	bad("a key in capitals", "Network", `"network":`, `"Network":`)
	bad("an unknown key inside", "limits.max_block_size", `"max_block_txs": 40000,`, `"max_block_txs": 40000, "max_block_size": 1,`)
	bad("a key twice", "time", `"time": 1700000000000,`, `"time": 1700000000000, "time": 1700000000000,`)
	bad("a key twice inside", "allocations[0].amount", `"amount": "1000000"`, `"amount": "1000000", "amount": "2"`)
	bad("a key missing", "slot_millis", `"slot_millis": 1000,`, ``)
	bad("a key missing inside", "rules[0].version", `{"height": 0, "version": 1}`, `{"height": 0}`)
	bad("an amount as a number", "allocations[0].amount", `"amount": "1000000"`, `"amount": 1000000`)
	bad("an amount with a leading zero", "allocations[0].amount", `"1000000"`, `"01000000"`)
	bad("an amount with a sign", "allocations[0].amount", `"1000000"`, `"+1000000"`)
	bad("a negative amount", "allocations[0].amount", `"1000000"`, `"-1"`)
	bad("an amount of 2^64", "allocations[0].amount", `"1000000"`, `"18446744073709551616"`)
	bad("an amount of 0", "allocations[0].amount", `"1000000"`, `"0"`)
	bad("a supply over 2^63-1", "allocations", `"1000000"`, `"9223372036854775807"`)
	bad("an address of another network", "allocations[0].address", `"address": "gv1`, `"address": "gx1`)
	bad("allocations out of order", "allocations[1]", `"`+referenceBech32("gv", fill(1, 32), bech32m)+`"`, `"`+referenceBech32("gv", fill(3, 32), bech32m)+`"`)
	bad("an account of small order", "allocations[0].address", referenceBech32("gv", fill(1, 32), bech32m), referenceBech32("gv", smallOrder[7], bech32m))
	bad("a producer of small order", "producers[0].producers[1]", referenceBech32("gv", fill(8, 32), bech32m), referenceBech32("gv", smallOrder[13], bech32m))
	bad("an address twice, once in capitals", "allocations[1].address", referenceBech32("gv", fill(1, 32), bech32m), strings.ToUpper(referenceBech32("gv", fill(2, 32), bech32m)))
	bad("a time with a fraction", "time", `1700000000000`, `1700000000000.5`)
	bad("a time with an exponent", "time", `1700000000000`, `17e11`)
	bad("a time as text", "time", `1700000000000`, `"1700000000000"`)
	bad("a slot too short", "slot_millis", `"slot_millis": 1000`, `"slot_millis": 99`)
	bad("a slot too long", "slot_millis", `"slot_millis": 1000`, `"slot_millis": 3600001`)
	bad("producer sets that begin late", "producers[0].height", `{"height": 0, "producers": [`, `{"height": 5, "producers": [`)
	bad("a producer twice", "producers[0].producers[1]", `"`+referenceBech32("gv", fill(8, 32), bech32m)+`"`, `"`+referenceBech32("gv", fill(9, 32), bech32m)+`"`)
	bad("producer sets out of order", "producers[1].height", `"height": 100`, `"height": 0`)
	bad("rules that begin late", "rules[0].height", `[{"height": 0, "version": 1}]`, `[{"height": 1, "version": 1}]`)
	bad("a prefix in capitals", "address_prefix", `"address_prefix": "gv"`, `"address_prefix": "GV"`)
	bad("a block smaller than a transaction", "limits.max_block_bytes", `"max_block_bytes": 4194304`, `"max_block_bytes": 131072`)
	bad("a block larger than the format's", "limits.max_block_bytes", `"max_block_bytes": 4194304`, `"max_block_bytes": 4194305`)
	bad("something after the document", "follows", "  }\n}\n", "  }\n}\n{}")
	bad("cut short", "ends early", "  }\n}\n", "")
	bad("a comma too many", "byte", `"version": 1}]`, `"version": 1},]`)
	bad("nested too deep", "rules", `"rules": [`, `"rules": [[[[[[[[[[]]]]]]]]],`)
	return file
}

// R6: the network id is the hash of the canonical genesis.
func TestDocumentVectors(t *testing.T) {
	for _, v := range vectors(t, "genesis_documents", documentVectors()) {
		t.Run(strings.ReplaceAll(v.Name, " ", "_"), func(t *testing.T) {
			g, err := wire.ParseGenesis([]byte(v.Document))
			if v.Key != "" {
				require.ErrorContains(t, err, v.Key)
				return
			}
			require.NoError(t, err)
			require.Equal(t, v.Bytes.decode(t), g.AppendTo(nil))
			require.Equal(t, v.NetworkID, g.ID().String())
			again, err := wire.ParseGenesis(g.JSON())
			require.NoError(t, err)
			require.Equal(t, g, again)
		})
	}
}

func TestGenesisMatchesItsDocument(t *testing.T) {
	g, err := wire.ParseGenesis([]byte(document()))
	require.NoError(t, err)
	require.Equal(t, genesis(), g)
	require.Equal(t, g, g.Clone())
	require.True(t, proto.Equal(sampleGenesis(), genesisPB(g)))
}

func TestParseGenesisReportsEverything(t *testing.T) {
	doc := strings.NewReplacer(`"slot_millis": 1000`, `"slot_millis": true, "a": 1`, `"max_block_txs": 40000`, `"max_block_txs": -1`).Replace(document())
	_, err := wire.ParseGenesis([]byte(doc))
	for _, key := range []string{"slot_millis", "key a ", "limits.max_block_txs"} {
		require.ErrorContains(t, err, key)
	}
	require.ErrorIs(t, err, wire.UnknownField)
	require.ErrorIs(t, err, wire.WrongType)
	for _, doc := range []string{"", " ", "null", "[]", "7", `"x"`, "{", "\xef\xbb\xbf{}", strings.Repeat("[", 100_000), "{\"network\":\"\xff\"}"} {
		_, err := wire.ParseGenesis([]byte(doc))
		require.Error(t, err, "%.20q", doc)
	}
	_, err = wire.ParseGenesis([]byte(strings.Replace(document(), "vine-1", "vine-\xff", 1)))
	require.ErrorIs(t, err, wire.BadText)
	_, err = wire.ParseGenesis(make([]byte, wire.MaxGenesisJSON+1))
	require.ErrorIs(t, err, wire.TooLarge)
}

func TestValidateGenesis(t *testing.T) {
	require.NoError(t, genesis().Validate())
	require.Error(t, new(wire.Genesis).Validate())
	for name, breakIt := range map[string]func(g *wire.Genesis){
		"network is":                                        func(g *wire.Genesis) { g.Network = "" },
		"network is \"a\\nb\"":                              func(g *wire.Genesis) { g.Network = "a\nb" },
		"network is \"aaaa":                                 func(g *wire.Genesis) { g.Network = strings.Repeat("a", 65) },
		"address_prefix":                                    func(g *wire.Genesis) { g.AddressPrefix = "Gv" },
		"time is 0":                                         func(g *wire.Genesis) { g.Time = 0 },
		"time is 18446744073709551615":                      func(g *wire.Genesis) { g.Time = math.MaxUint64 },
		"slot_millis is 99":                                 func(g *wire.Genesis) { g.SlotMillis = 99 },
		"slot_millis is 4294967295":                         func(g *wire.Genesis) { g.SlotMillis = math.MaxUint32 },
		"allocations[1].amount is 0":                        func(g *wire.Genesis) { g.Allocations[1].Amount = 0 },
		"allocations[0].address is the ze":                  func(g *wire.Genesis) { g.Allocations[0].Address = wire.Address{} },
		"allocations[1].address comes twi":                  func(g *wire.Genesis) { g.Allocations[1].Address = g.Allocations[0].Address },
		"allocations[1] is out of order":                    func(g *wire.Genesis) { g.Allocations[0].Address[0] = 255 },
		"add up to more than 922337203685":                  func(g *wire.Genesis) { g.Allocations[0].Amount, g.Allocations[1].Amount = math.MaxUint64, 5 },
		"allocations has 100001 entries":                    func(g *wire.Genesis) { g.Allocations = make([]wire.Allocation, wire.MaxAllocations+1) },
		"producers is empty":                                func(g *wire.Genesis) { g.Producers = nil },
		"producers[0].height is 1":                          func(g *wire.Genesis) { g.Producers[0].Height = 1 },
		"producers[1].height is 0":                          func(g *wire.Genesis) { g.Producers[1].Height = 0 },
		"producers[1].producers has 257":                    func(g *wire.Genesis) { g.Producers[1].Producers = make([]wire.Address, wire.MaxProducers+1) },
		"producers[1].producers has 0":                      func(g *wire.Genesis) { g.Producers[1].Producers = nil },
		"producers[0].producers[0] is the":                  func(g *wire.Genesis) { g.Producers[0].Producers[0] = wire.Address{} },
		"producers[0].producers[1] is a key of small order": func(g *wire.Genesis) { g.Producers[0].Producers[1] = wire.Address(smallOrder[12]) },
		"producers[0].producers[1] comes":                   func(g *wire.Genesis) { g.Producers[0].Producers[1] = g.Producers[0].Producers[0] },
		"producers[1].height is 90071992547":                func(g *wire.Genesis) { g.Producers[1].Height = 1 << 53 },
		"rules[1].height is 90071992547409":                 func(g *wire.Genesis) { g.Rules = append(g.Rules, wire.RuleChange{Height: 1 << 53, Version: 2}) },
		"rules is empty":                                    func(g *wire.Genesis) { g.Rules = nil },
		"rules[0].version is 0":                             func(g *wire.Genesis) { g.Rules[0].Version = 0 },
		"rules[1] is version 1":                             func(g *wire.Genesis) { g.Rules = append(g.Rules, wire.RuleChange{Height: 5, Version: 1}) },
		"limits.min_fee_per_byte":                           func(g *wire.Genesis) { g.Limits.MinFeePerByte = wire.MaxMinFeePerByte + 1 },
		"limits.max_tx_bytes is 68":                         func(g *wire.Genesis) { g.Limits.MaxTxBytes = 68 },
		"limits.max_tx_bytes is 131073":                     func(g *wire.Genesis) { g.Limits.MaxTxBytes = wire.MaxTx + 1 },
		"limits.max_block_bytes is 2048":                    func(g *wire.Genesis) { g.Limits.MaxBlockBytes = 2048 },
		"limits.max_block_bytes is 419430":                  func(g *wire.Genesis) { g.Limits.MaxBlockBytes = wire.MaxBlock + 1 },
		"limits.max_block_txs is 0":                         func(g *wire.Genesis) { g.Limits.MaxBlockTxs = 0 },
		"limits.max_block_txs is 40001":                     func(g *wire.Genesis) { g.Limits.MaxBlockTxs = wire.MaxBlockTxs + 1 },
		"limits.clock_tolerance_millis":                     func(g *wire.Genesis) { g.Limits.ClockToleranceMillis = 60_001 },
	} {
		g := genesis()
		breakIt(g)
		require.ErrorContains(t, g.Validate(), name)
	}
}

func TestValidateGenesisIsReadable(t *testing.T) {
	g := genesis()
	g.Allocations = make([]wire.Allocation, 1000)
	var joined interface{ Unwrap() []error }
	require.True(t, errors.As(g.Validate(), &joined))
	require.Less(t, len(joined.Unwrap()), 60)
	require.ErrorContains(t, g.Validate(), "more")
}

// TestLargestGenesis: a genesis at all its limits is within the limits of its
// two forms.
func TestLargestGenesis(t *testing.T) {
	g := genesis()
	g.Network, g.AddressPrefix = strings.Repeat("n", wire.MaxNetworkName), strings.Repeat("p", wire.MaxAddressPrefix)
	numberedKey := func(n int) wire.Address {
		return wire.Address{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n), 1}
	}
	g.Allocations, g.Producers = nil, nil
	for i := range wire.MaxAllocations {
		g.Allocations = append(g.Allocations, wire.Allocation{Address: numberedKey(i), Amount: wire.MaxSupply / wire.MaxAllocations})
	}
	var all []wire.Address
	for i := range wire.MaxProducers {
		all = append(all, numberedKey(i))
	}
	for i := range wire.MaxProducerSets {
		g.Producers = append(g.Producers, wire.ProducerSet{Height: uint64(i) * (1 << 42), Producers: all})
	}
	require.NoError(t, g.Validate())
	require.Less(t, len(g.AppendTo(nil)), wire.MaxGenesis)
	require.Less(t, len(g.JSON()), wire.MaxGenesisJSON)
}

func TestSchedule(t *testing.T) {
	g := genesis()
	a, b := g.Producers[0].Producers[0], g.Producers[0].Producers[1]
	g.Rules = append(g.Rules, wire.RuleChange{Height: 50, Version: 2})
	require.Equal(t, a, g.ProducerOf(1, 4))
	require.Equal(t, b, g.ProducerOf(99, 5))
	require.Equal(t, b, g.ProducerOf(100, 4), "the second set has one producer")
	require.Equal(t, []wire.Address{b}, g.ProducersAt(math.MaxUint64))
	require.EqualValues(t, 1, g.VersionAt(49))
	require.EqualValues(t, 2, g.VersionAt(50))
	require.Empty(t, new(wire.Genesis).ProducersAt(1))
	require.Equal(t, wire.Address{}, new(wire.Genesis).ProducerOf(1, 1))
	require.Zero(t, new(wire.Genesis).VersionAt(1))

	_, ok := g.SlotAt(g.Time - 1)
	require.False(t, ok)
	_, ok = new(wire.Genesis).SlotAt(1)
	require.False(t, ok)
	require.Equal(t, uint64(math.MaxUint64), g.SlotStart(math.MaxUint64))
	rapid.Check(t, func(t *rapid.T) {
		now := rapid.Uint64Range(g.Time, math.MaxUint64).Draw(t, "now")
		slot, ok := g.SlotAt(now)
		require.True(t, ok)
		require.LessOrEqual(t, g.SlotStart(slot), now)
		if next := g.SlotStart(slot + 1); next != math.MaxUint64 {
			require.Greater(t, next, now)
		}
		any := rapid.Uint64().Draw(t, "slot")
		require.GreaterOrEqual(t, g.SlotStart(any), g.Time)
	})
}

func FuzzParseGenesis(f *testing.F) {
	for _, v := range documentVectors().Vectors {
		f.Add([]byte(v.Document))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		g, err := wire.ParseGenesis(doc)
		if err != nil {
			return
		}
		again, err := wire.ParseGenesis(g.JSON())
		if err != nil || again.ID() != g.ID() {
			t.Fatalf("the document written for a genesis is not read as it: %v", err)
		}
		decoded, err := wire.DecodeGenesis(g.AppendTo(nil))
		if err != nil || decoded.ID() != g.ID() {
			t.Fatalf("a valid genesis has no canonical form: %v", err)
		}
		var m wirepb.Genesis
		if err := proto.Unmarshal(g.AppendTo(nil), &m); err != nil {
			t.Fatal(err)
		}
	})
}
