package peerscore_test

import (
	"cmp"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

// TestZonesAgainstNaive compares the look-up by widths with a walk over all bans.
func TestZonesAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		book, now := newBook(t, peerscore.DefaultConfig()), start
		type ban struct {
			prefix netip.Prefix
			until  time.Time
		}
		var all []ban
		drawAddr := func() netip.Addr {
			b := rapid.SliceOfN(rapid.ByteRange(0, 3), 4, 4).Draw(t, "addr")
			if rapid.Bool().Draw(t, "six") {
				return netip.AddrFrom16([16]byte{0x20, b[0], b[1], b[2], b[3]})
			}
			return netip.AddrFrom4([4]byte(b))
		}
		for range rapid.IntRange(1, 40).Draw(t, "events") {
			now = now.Add(drawWait.Draw(t, "wait"))
			addr := drawAddr()
			prefix, err := addr.Prefix(rapid.IntRange(0, addr.BitLen()).Draw(t, "bits"))
			require.NoError(t, err)
			if rapid.IntRange(0, 3).Draw(t, "kind") == 0 {
				book.LiftZone(prefix)
				for i := range all {
					if all[i].prefix == prefix {
						all[i].until = time.Time{}
					}
				}
			} else {
				until := now.Add(drawWait.Draw(t, "for"))
				book.BanZone(now, peerscore.ZoneBan{Prefix: prefix, Until: until})
				all = append(all, ban{prefix, until})
			}
			asked := drawAddr()
			want := false
			for _, b := range all {
				want = want || b.prefix.Contains(asked) && b.until.UnixMilli() > now.UnixMilli()
			}
			_, got := book.BannedAddr(now, asked)
			require.Equal(t, want, got, "%v", asked)
			mapped := netip.AddrFrom16(asked.As16())
			_, got = book.BannedAddr(now, mapped)
			require.Equal(t, want, got, "%v", mapped)
		}
	})
}

// TestABadNeighbourhoodShortensTheRopeAndStartsNoQuarrel: peers of a prefix that has
// offenders are judged by what they do themselves, but sooner.
//
// R83: a prefix weighs on no peer that offends nobody.
func TestABadNeighbourhoodShortensTheRopeAndStartsNoQuarrel(t *testing.T) {
	c := peerscore.DefaultConfig()
	book := newBook(t, c)
	near, far := netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("198.51.100.9")
	for i := range 3 {
		for range 10 {
			book.RecordAt(start, peerscore.PeerID(fmt.Sprint("bad", i)), netip.MustParseAddr("203.0.113.7"), peerscore.InvalidTx)
		}
	}
	require.Zero(t, book.Score(start, "neighbour"))
	require.Positive(t, book.HoodGuilt(start, near))
	book.RecordAt(start, "neighbour", near, peerscore.InvalidTx)
	book.RecordAt(start, "stranger", far, peerscore.InvalidTx)
	require.InDelta(t, c.HoodFactor*c.Weights[peerscore.InvalidTx], book.Standing(start, "neighbour").Guilt, 1e-6)
	require.InDelta(t, c.Weights[peerscore.InvalidTx], book.Standing(start, "stranger").Guilt, 1e-6)
}

func TestD5ManyBannedPeersOfAnAddressBanIt(t *testing.T) {
	c := peerscore.DefaultConfig()
	book := newBook(t, c)
	addr := netip.MustParseAddr("2001:db8::1")
	for i := range c.BansPerAddress {
		_, banned := book.BannedAddr(start, addr)
		require.False(t, banned, "after %d", i)
		for !book.RecordAt(start, peerscore.PeerID(fmt.Sprint(i)), addr, peerscore.BadFrame) {
		}
	}
	zone, banned := book.BannedAddr(start, netip.MustParseAddr("2001:db8::2"))
	require.True(t, banned)
	require.Equal(t, "2001:db8::/64", zone.Prefix.String())
	_, banned = book.BannedAddrByHand(start, addr)
	require.False(t, banned)
	byHand := peerscore.ZoneBan{Prefix: netip.MustParsePrefix("2001:db8::/48"), Until: start.Add(time.Hour), ByHand: true}
	book.BanZone(start, byHand)
	latest, _ := book.BannedAddr(start, addr)
	require.Equal(t, zone, latest)
	shorter, banned := book.BannedAddrByHand(start, addr)
	require.True(t, banned, "though another ends later")
	require.Equal(t, byHand.Prefix, shorter.Prefix)
	_, banned = book.BannedAddr(start.Add(c.BanFor), addr)
	require.False(t, banned)
	for i := range 2 * c.BansPerAddress { // all of a machine's own peers share the loopback
		for !book.RecordAt(start, peerscore.PeerID(fmt.Sprint("local", i)), netip.MustParseAddr("127.0.0.1"), peerscore.BadFrame) {
		}
	}
	_, banned = book.BannedAddr(start, netip.MustParseAddr("127.0.0.1"))
	require.False(t, banned)
}

// What is saved is every ban and the heaviest records, without a look at all the others: scores
// wait meanwhile.
func TestSaveTakesTheHeaviest(t *testing.T) {
	cfg := peerscore.DefaultConfig()
	book, now := newBook(t, cfg), start
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range cfg.MaxRecords {
		p := peerscore.PeerID(fmt.Sprintf("peer %d", i))
		now = now.Add(time.Millisecond)
		switch rng.IntN(3) {
		case 0:
			book.Record(now, p, peerscore.Offence(1+rng.IntN(peerscore.Offences)))
		case 1:
			book.Record(now, p, peerscore.SlowReader)
		}
		if rng.IntN(3) == 0 {
			book.Earn(now, p)
		}
		if rng.IntN(16) == 0 {
			book.Ban(now, p, now.Add(time.Hour), "over_budget")
		}
	}
	now = now.Add(time.Minute)
	var bans, rest []float64
	for s := range book.All(now) {
		if weight := max(s.Guilt, s.Doubt, s.Merit); s.BannedUntil.IsZero() {
			rest = append(rest, weight)
		} else {
			bans = append(bans, weight)
		}
	}
	slices.SortFunc(rest, func(x, y float64) int { return cmp.Compare(y, x) })
	const records = 100
	saved := book.Save(now, records)
	require.Len(t, saved.Standings, len(bans)+records)
	for i, s := range saved.Standings {
		if i < len(bans) {
			require.False(t, s.BannedUntil.IsZero())
			require.Equal(t, bans[i], max(s.Guilt, s.Doubt, s.Merit))
		} else {
			require.True(t, s.BannedUntil.IsZero())
			require.Equal(t, rest[i-len(bans)], max(s.Guilt, s.Doubt, s.Merit))
		}
	}
	few := testing.AllocsPerRun(3, func() { book.Save(now, records) })
	many := testing.AllocsPerRun(3, func() { book.Save(now, cfg.MaxRecords) })
	require.Less(t, few, many/3, "what is saved costs, and not what there is")
}

func TestSavedSurvives(t *testing.T) {
	c := peerscore.DefaultConfig()
	first := newBook(t, c)
	first.Record(start, "guilty\xff", peerscore.BadFrame)
	first.Record(start, "doubtful", peerscore.BrokenPromise)
	first.Earn(start, "friend")
	first.BanByHand(start, "enemy", start.Add(time.Hour), "told me so")
	first.BanZone(start, peerscore.ZoneBan{Prefix: netip.MustParsePrefix("203.0.113.99/24"), Until: start.Add(time.Hour), Reason: "spam", ByHand: true})
	raw := first.Save(start, 100).Encode()

	saved, err := peerscore.DecodeSaved(raw)
	require.NoError(t, err)
	later := start.Add(5 * time.Minute)
	second := newBook(t, c)
	second.Load(later, saved)
	for _, p := range []peerscore.PeerID{"guilty\xff", "doubtful", "friend", "enemy"} {
		require.InDelta(t, first.Score(later, p), second.Score(later, p), 1e-9, "peer %q", p)
	}
	require.Equal(t, first.Standing(later, "enemy"), second.Standing(later, "enemy"))
	require.Equal(t, first.Zones(later), second.Zones(later))
	require.Equal(t, "203.0.113.0/24", second.Zones(later)[0].Prefix.String())

	for i := range raw {
		broken := append([]byte{}, raw...)
		broken[i] ^= 4
		_, err := peerscore.DecodeSaved(broken)
		require.ErrorAs(t, err, new(peerscore.Damaged), "byte %d", i)
	}
	require.Len(t, first.Save(start, 1).Standings, 2, "a ban, and what weighs most of the rest")
}

// banAt has a peer do what it is banned for.
func banAt(b *peerscore.Book, now time.Time, p peerscore.PeerID, addr netip.Addr) {
	for !b.RecordAt(now, p, addr, peerscore.BadFrame) {
	}
}

// R83, R84: what is held against a prefix, and how many peers of an address were banned,
// outlives the process.
func TestPrefixesOutliveTheProcess(t *testing.T) {
	c := peerscore.DefaultConfig()
	four, six := netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("2001:db8::7")
	first := newBook(t, c)
	for i := range c.BansPerAddress - 1 {
		banAt(first, start, peerscore.PeerID(fmt.Sprint("four ", i)), four)
		banAt(first, start, peerscore.PeerID(fmt.Sprint("six ", i)), six)
	}
	saved, err := peerscore.DecodeSaved(first.Save(start, 100).Encode())
	require.NoError(t, err)
	require.Equal(t, first.Save(start, 100).Hoods, saved.Hoods)

	later := start.Add(c.HalfLife)
	second := newBook(t, c)
	second.Load(later, saved)
	for _, addr := range []netip.Addr{four, six} {
		require.Positive(t, second.HoodGuilt(later, addr))
		require.InDelta(t, first.HoodGuilt(start, addr)/2, second.HoodGuilt(later, addr), 1e-9)
		_, banned := second.BannedAddr(later, addr)
		require.False(t, banned)
		banAt(second, later, peerscore.PeerID("the last of "+addr.String()), addr)
		_, banned = second.BannedAddr(later, addr)
		require.True(t, banned, "four bans, a restart and the fifth")
	}

	after := start.Add(c.BanFor)
	third := newBook(t, c)
	third.Load(after, saved)
	require.Empty(t, third.Save(after, 100).Homes, "their bans are over")
}

// bigSaved is what a Book with every bound reached gives, with the longest reasons.
func bigSaved(c peerscore.Config, records int) peerscore.Saved {
	s := peerscore.Saved{At: start}
	until, why := start.Add(c.BanFor), strings.Repeat("x", peerscore.MaxReason)
	prefix := func(i, bits int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 0x01, 0xff, byte(i >> 16), byte(i >> 8), byte(i), 0xff, 0xff}), bits).Masked()
	}
	for i := range c.MaxBans {
		p := peerscore.PeerID(fmt.Sprintf("%038d", i))
		s.Standings = append(s.Standings, peerscore.Standing{Peer: p, Guilt: 100. / 3, Doubt: 100. / 3, Merit: 10. / 3, BannedUntil: until, Reason: why, ByHand: true})
		s.Zones = append(s.Zones, peerscore.ZoneBan{Prefix: prefix(i, 64), Until: until, Reason: why, ByHand: true})
		s.Homes = append(s.Homes, peerscore.HomeBans{Prefix: prefix(i, 64), Bans: c.BansPerAddress, Until: until})
	}
	for i := range records {
		s.Standings = append(s.Standings, peerscore.Standing{Peer: peerscore.PeerID(fmt.Sprintf("%038d", c.MaxBans+i)), Guilt: 100. / 3, Doubt: 100. / 3})
		s.Hoods = append(s.Hoods, peerscore.HoodGuilt{Prefix: prefix(i, 48), Guilt: 1000. / 3})
	}
	return s
}

// MaxSaved has room for what a Book can hold, with as many records as a node keeps
// (node/reputation.go).
func TestTheLargestBookFits(t *testing.T) {
	c := peerscore.DefaultConfig()
	const records = 4096
	book := newBook(t, c)
	book.Load(start, bigSaved(c, records))
	saved := book.Save(start, records)
	require.Len(t, saved.Zones, c.MaxBans)
	require.Len(t, saved.Homes, c.MaxBans)
	require.Len(t, saved.Hoods, records)
	require.Less(t, len(saved.Encode()), peerscore.MaxSaved/2)
}

// What is loaded is kept within the bounds of what comes in, and what no Book gives is not
// taken: a file may be of a larger configuration, or made up.
func TestLoadKeepsTheBoundsOfPrefixes(t *testing.T) {
	big, small := peerscore.DefaultConfig(), peerscore.DefaultConfig()
	big.MaxBans = 64
	small.MaxBans, small.MaxRecords = 3, 5
	book := newBook(t, small)
	book.Load(start, bigSaved(big, 64))
	saved := book.Save(start, 100)
	require.Len(t, saved.Homes, 3)
	require.Len(t, saved.Hoods, 5)

	book, until := newBook(t, small), start.Add(time.Hour)
	p := netip.MustParsePrefix
	book.Load(start, peerscore.Saved{
		At: start,
		Hoods: []peerscore.HoodGuilt{
			{Guilt: 1},
			{Prefix: p("203.0.113.0/25"), Guilt: 1},
			{Prefix: p("203.0.113.9/24"), Guilt: 1},
			{Prefix: p("127.0.0.0/24"), Guilt: 1},
			{Prefix: p("203.0.113.0/24"), Guilt: -1},
			{Prefix: p("198.51.100.0/24"), Guilt: 1e9},
		},
		Homes: []peerscore.HomeBans{
			{Bans: 1, Until: until},
			{Prefix: p("203.0.113.0/24"), Bans: 1, Until: until},
			{Prefix: p("203.0.113.9/32"), Until: until},
			{Prefix: p("203.0.113.9/32"), Bans: 1, Until: start},
			{Prefix: p("198.51.100.9/32"), Bans: math.MaxInt, Until: until},
		},
	})
	saved = book.Save(start, 100)
	require.Len(t, saved.Hoods, 1)
	require.InDelta(t, small.MaxHood, saved.Hoods[0].Guilt, 1e-6)
	require.Equal(t, []peerscore.HomeBans{{Prefix: p("198.51.100.9/32"), Bans: small.BansPerAddress, Until: time.UnixMilli(until.UnixMilli())}}, saved.Homes)
}

// savedAs is an encoding with the body given.
func savedAs(body string) []byte {
	return fmt.Appendf(nil, "grapevine reputation 1 %08x\n%s", crc32.ChecksumIEEE([]byte(body)), body)
}

// olderBody is what was written before prefixes outlived the process.
const olderBody = `{"at_ms":1767225600000,"standings":[{"peer":"Z3VpbHR5","guilt":40}],"zones":[{"prefix":"203.0.113.0/24","until_ms":1767229200000,"reason":"spam","by_hand":true}]}`

func TestOlderFilesAreRead(t *testing.T) {
	saved, err := peerscore.DecodeSaved(savedAs(olderBody))
	require.NoError(t, err)
	book := newBook(t, peerscore.DefaultConfig())
	book.Load(start, saved)
	require.InDelta(t, 40, book.Standing(start, "guilty").Guilt, 1e-9)
	_, banned := book.BannedAddr(start, netip.MustParseAddr("203.0.113.1"))
	require.True(t, banned)
}

func FuzzDecodeSaved(f *testing.F) {
	book := newBook(f, peerscore.DefaultConfig())
	book.BanByHand(start, "enemy", start.Add(time.Hour), "why")
	f.Add(book.Save(start, 1).Encode())
	banAt(book, start, "four", netip.MustParseAddr("203.0.113.7"))
	banAt(book, start, "six", netip.MustParseAddr("2001:db8::7"))
	f.Add(book.Save(start, 8).Encode())
	f.Add([]byte(olderBody))
	f.Add([]byte(`{"at_ms":1767225600000,"standings":null,"zones":null,"hoods":[{"prefix":"","guilt":1},{"prefix":"::ffff:1.2.3.4/120","guilt":1e308}],` +
		`"homes":[{"prefix":"","bans":1,"until_ms":9999999999999},{"prefix":"::/64","bans":-1,"until_ms":9999999999999}]}`))
	f.Add([]byte("grapevine reputation 1 00000000\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, raw := range [][]byte{b, savedAs(string(b))} { // with a checksum that is right, too
			saved, err := peerscore.DecodeSaved(raw)
			if err != nil {
				continue
			}
			again, err := peerscore.DecodeSaved(saved.Encode())
			require.NoError(t, err)
			require.Equal(t, saved, again)
			book := newBook(t, peerscore.DefaultConfig())
			book.Load(start, saved)
			book.Save(start, 8)
		}
	})
}
