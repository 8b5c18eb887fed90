package dial_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay/dial"
	"github.com/grapevine-p2p/grapevine/peerscore"
)

var start = time.Unix(1_800_000_000, 0)

func addr(peer, at string) dial.Address {
	return dial.Address{Peer: peerscore.PeerID(peer), At: netip.MustParseAddrPort(at), Over: dial.QUIC}
}

func keeper(t testing.TB, change func(*dial.Config), bootstrap ...dial.Address) *dial.Keeper {
	config := dial.DefaultConfig()
	if change != nil {
		change(&config)
	}
	k, err := dial.New(config, dial.Key{7}, bootstrap, rand.New(rand.NewPCG(1, 2)))
	require.NoError(t, err)
	return k
}

// D3: nothing that could lead into our own networks, or to another service, is
// dialled on a stranger's word.
func TestD3OnlyPublicAddressesAreDialled(t *testing.T) {
	for at, want := range map[string]bool{
		"8.8.8.8:4001":               true,
		"[2600:1900::1]:4001":        true,
		"10.0.0.1:4001":              false,
		"172.16.0.1:4001":            false,
		"192.168.1.1:4001":           false,
		"127.0.0.1:4001":             false,
		"169.254.169.254:80":         false,
		"224.0.0.1:4001":             false,
		"0.0.0.0:4001":               false,
		"100.64.0.1:4001":            false,
		"0.0.0.1:4001":               false,
		"240.0.0.1:4001":             false,
		"255.255.255.255:4001":       false,
		"[::]:4001":                  false,
		"[::1]:4001":                 false,
		"[fe80::1]:4001":             false,
		"[fd00::1]:4001":             false,
		"[ff02::1]:4001":             false,
		"[ff0e::1]:4001":             false,
		"[::ffff:8.8.8.8]:4001":      false,
		"[::ffff:10.0.0.1]:4001":     false,
		"[::808:808]:4001":           false,
		"[::ffff:0:808:808]:4001":    false,
		"[64:ff9b::808:808]:4001":    false,
		"[2002:808:808::1]:4001":     false,
		"[2001:0:808:808::1]:4001":   false,
		"8.8.8.8:0":                  false,
		"8.8.8.8:22":                 false,
		"8.8.8.8:25":                 false,
		"[2600:1900::1%eth0]:4001":   false,
		"[2001:db8::1]:4001":         false,
		"[3fff::1]:4001":             false,
		"[2600:1900::1]:0":           false,
		"[2600:1900::1]:22":          false,
		"[2600:1900::1]:25":          false,
		"203.0.113.9:4001":           false,
		"[2a01:4f8:c0c:1::2]:443":    true,
		"[64:ff9b:1:fffe::808]:4001": false,
	} {
		require.Equal(t, want, addr("p", at).Public(), at)
	}
}

// D1: one peer can neither tell more than its allowance nor reach more of the book
// than a sixteenth, nor fill it with addresses of one peer.
func TestD1OneTellerIsBounded(t *testing.T) {
	k := keeper(t, nil)
	k.Accepted(start, "liar", netip.MustParseAddrPort("9.9.9.9:1"))
	flood := make([]dial.Address, 100_000)
	for i := range flood {
		flood[i] = addr(fmt.Sprintf("p%d", i), fmt.Sprintf("%d.%d.%d.%d:4001", 20+i%100, i/100%250, i/25000, 1))
	}
	require.InDelta(t, 95, k.Learn(start, "liar", flood), 5, "of the first hundred, some for one place")
	told := k.Learn(start.Add(time.Minute), "liar", flood[50_000:])
	require.LessOrEqual(t, told, 6)
	require.Positive(t, told)
	require.Zero(t, k.Learn(start, "stranger", flood), "not connected")

	book := dial.NewBook(dial.Key{3})
	for _, a := range flood {
		book.Learn(start, a, netip.MustParseAddr("9.9.9.9"))
	}
	fresh, _ := book.Len()
	require.LessOrEqual(t, fresh, 256*64/16, "a source group reaches a sixteenth")

	book = dial.NewBook(dial.Key{3})
	for _, a := range flood[:1000] {
		a.Peer = "many"
		book.Learn(start, a, netip.MustParseAddr("9.9.9.9"))
	}
	fresh, _ = book.Len()
	require.Equal(t, dial.MaxPerPeer, fresh)
}

// Of the addresses of a peer, those that do not answer make room for one that may: whoever
// tells false ones first does not keep the true one out.
func TestFalseAddressesOfAPeerMakeRoom(t *testing.T) {
	k := keeper(t, nil)
	k.Accepted(start, "somebody", netip.MustParseAddrPort("60.1.1.1:1"))
	for i := range 2 * dial.MaxPerPeer {
		k.Found(start, addr("victim", fmt.Sprintf("50.%d.1.1:4001", i)))
	}
	known, _ := k.Book().Len()
	require.Equal(t, dial.MaxPerPeer, known)
	real := addr("victim", "70.1.1.1:4001")
	require.False(t, k.Found(start, real))
	now := start
	for !k.Found(now, real) {
		for _, d := range k.Tick(now, nil) {
			k.Failed(now, d.Address)
		}
		now = now.Add(time.Second)
		require.Less(t, now.Sub(start), 10*time.Minute)
	}
	known, _ = k.Book().Len()
	require.Equal(t, dial.MaxPerPeer, known, "in the place of a false one")
}

// A book that holds nothing but dead addresses, and more of them than can be dialled before
// the first may be dialled again, does not keep the bootstrap peers from being asked; nor do
// these, when they are down, keep the book from being tried.
func TestBootstrapIsAskedBesideADeadBook(t *testing.T) {
	const (
		dead  = 5 * time.Second
		until = time.Minute
	)
	var seeds []dial.Address
	for i := range dial.MaxSeeds {
		seeds = append(seeds, addr(fmt.Sprintf("seed%d", i), fmt.Sprintf("30.%d.1.1:4001", i)))
	}
	k := keeper(t, nil, seeds...)
	for i := range 1000 {
		k.Found(start, addr(fmt.Sprintf("p%d", i), fmt.Sprintf("50.%d.%d.1:4001", i%250, i/250)))
	}
	dials := make(map[dial.Reason]int)
	var first time.Duration
	waiting := make(map[dial.Address]time.Time)
	for now := start; now.Before(start.Add(until)); now = now.Add(250 * time.Millisecond) {
		for a, since := range waiting {
			if now.Sub(since) >= dead {
				delete(waiting, a)
				k.Failed(now, a)
			}
		}
		for _, d := range k.Tick(now, nil) {
			waiting[d.Address] = now
			if dials[d.Why]++; d.Why == dial.Bootstrap && first == 0 {
				first = now.Sub(start)
			}
		}
	}
	require.Less(t, first, dial.DefaultConfig().BootstrapAfter+dial.DefaultConfig().Drags+time.Second)
	require.GreaterOrEqual(t, first, dial.DefaultConfig().BootstrapAfter)
	require.Greater(t, dials[dial.Bootstrap], 40, "one a second")
	require.Greater(t, dials[dial.Outbound], 2*dials[dial.Bootstrap], "most dials are of the book")
}

// D9: with an empty book the bootstrap peers are dialled at once, with one
// that has addresses only after a while.
func TestD9BootstrapIsTheLastResort(t *testing.T) {
	seed := addr("seed", "30.1.1.1:4001")
	k := keeper(t, nil, seed)
	require.Equal(t, []dial.Dial{{Address: seed, Why: dial.Bootstrap}}, k.Tick(start, nil))

	k = keeper(t, nil, seed)
	k.Found(start, addr("known", "40.1.1.1:4001"))
	require.Equal(t, []dial.Dial{{Address: addr("known", "40.1.1.1:4001"), Why: dial.Outbound}}, k.Tick(start, nil))
	require.Empty(t, k.Tick(start.Add(4*time.Second), nil))
	require.Equal(t, []dial.Dial{{Address: seed, Why: dial.Bootstrap}}, k.Tick(start.Add(5*time.Second), nil))
}

// R78: a node that loses all its links at once, long after its start, asks its book first, too, and
// the bootstrap peers once nobody of it answered for as long as at the start.
func TestWhoLosesAllLinksAsksTheBookFirst(t *testing.T) {
	seed := addr("seed", "30.1.1.1:4001")
	k := keeper(t, nil, seed)
	for i := range 200 {
		k.Found(start, addr(fmt.Sprintf("p%d", i), fmt.Sprintf("50.%d.1.1:4001", i)))
	}
	now := start
	for range 200 {
		for _, d := range k.Tick(now, nil) {
			require.NotEqual(t, dial.Bootstrap, d.Why)
			k.Connected(now, d.Address)
		}
		now = now.Add(250 * time.Millisecond)
	}
	require.Equal(t, dial.DefaultConfig().Outbound, k.Outbound())
	now = now.Add(time.Hour)
	for i := range 200 {
		k.Gone(now, peerscore.PeerID(fmt.Sprintf("p%d", i)))
	}
	lost, waiting := now, make(map[dial.Address]time.Time)
	for why := dial.Reason(0); why != dial.Bootstrap; now = now.Add(250 * time.Millisecond) {
		for a, since := range waiting {
			if now.Sub(since) >= 5*time.Second {
				delete(waiting, a)
				k.Failed(now, a)
			}
		}
		dials := k.Tick(now, nil)
		if now.Equal(lost) {
			require.NotEmpty(t, dials, "of the book")
		}
		for _, d := range dials {
			why, waiting[d.Address] = d.Why, now
			if why == dial.Bootstrap {
				require.Equal(t, seed, d.Address)
				require.GreaterOrEqual(t, now.Sub(lost), dial.DefaultConfig().BootstrapAfter)
				break
			}
		}
		require.Less(t, now.Sub(lost), dial.DefaultConfig().BootstrapAfter+dial.DefaultConfig().Drags+time.Second)
	}
}

func TestOutboundIsDiverse(t *testing.T) {
	k := keeper(t, nil)
	for i := range 500 {
		k.Found(start, addr(fmt.Sprintf("p%d", i), fmt.Sprintf("50.%d.%d.1:4001", i%6, i%250)))
	}
	now := start
	for range 100 {
		for _, d := range k.Tick(now, nil) {
			k.Connected(now, d.Address)
		}
		now = now.Add(250 * time.Millisecond)
	}
	require.Equal(t, 6, k.Outbound(), "six groups, one link each")
}

// R158: where there are fewer networks than slots, addresses are tried all the same: those of the
// networks that have a link stand in for it one day.
func TestFeelersWhereSlotsStayEmpty(t *testing.T) {
	k := keeper(t, nil)
	for i := range 500 {
		k.Found(start, addr(fmt.Sprintf("p%d", i), fmt.Sprintf("50.%d.%d.1:4001", i%6, i%250)))
	}
	now, feelers := start, 0
	for range 4 * 3600 {
		for _, d := range k.Tick(now, nil) {
			kept := k.Connected(now, d.Address)
			require.Equal(t, d.Why != dial.Feeler, kept)
			if d.Why == dial.Feeler {
				feelers++
			}
		}
		now = now.Add(250 * time.Millisecond)
	}
	require.Equal(t, 6, k.Outbound())
	require.InDelta(t, 30, feelers, 8)
	_, tried := k.Book().Len()
	require.Greater(t, tried, 20)
}

// A dial that drags on gives its turn away; when it succeeds after all and the
// slots are filled, it is surplus.
func TestSlowDialsDoNotHoldUpOthers(t *testing.T) {
	k := keeper(t, func(c *dial.Config) { c.Outbound, c.AnchorSlots, c.AtOnce = 1, 0, 1 })
	for i := range 10 {
		k.Found(start, addr(fmt.Sprintf("p%d", i), fmt.Sprintf("50.%d.1.1:4001", i)))
	}
	first := k.Tick(start, nil)
	require.Len(t, first, 1)
	require.Empty(t, k.Tick(start.Add(900*time.Millisecond), nil))
	second := k.Tick(start.Add(time.Second), nil)
	require.Len(t, second, 1)
	require.NotEqual(t, first, second)
	require.True(t, k.Connected(start.Add(2*time.Second), second[0].Address))
	require.False(t, k.Connected(start.Add(3*time.Second), first[0].Address), "surplus")
	require.Equal(t, 1, k.Outbound())
}

func TestFailuresPauseLongerAndLonger(t *testing.T) {
	seed := addr("seed", "30.1.1.1:4001")
	k := keeper(t, nil, seed)
	now, last := start, time.Duration(0)
	for n := range 8 {
		require.Len(t, k.Tick(now, nil), 1)
		k.Failed(now, seed)
		paused := time.Duration(0)
		for len(k.Tick(now, nil)) == 0 {
			now, paused = now.Add(100*time.Millisecond), paused+100*time.Millisecond
		}
		k.Failed(now, seed) // settles the dial that ended the pause
		now = now.Add(time.Hour)
		base := min(30*time.Minute, 5*time.Second<<(2*n))
		require.InDelta(t, base.Seconds(), paused.Seconds(), 0.26*base.Seconds())
		require.GreaterOrEqual(t, paused, min(last, 22*time.Minute))
		last = paused
	}
}

// D8: all inbound slots are held by one attacker with many groups and a good
// line; the protected of each class stay, and then the attacker displaces itself.
func TestD8EvictKeepsTheUseful(t *testing.T) {
	k := keeper(t, nil)
	var links []dial.Inbound
	add := func(name string, n int, change func(*dial.Inbound, int)) {
		for i := range n {
			l := dial.Inbound{
				Peer: peerscore.PeerID(fmt.Sprintf("%s%d", name, i)), IP: netip.AddrFrom4([4]byte{60, byte(len(links)), 1, 1}),
				Since: start.Add(time.Hour + time.Duration(len(links))*time.Second), RTT: 300 * time.Millisecond,
			}
			change(&l, i)
			links = append(links, l)
		}
	}
	add("deliverer", 4, func(l *dial.Inbound, _ int) { l.Useful = start.Add(2 * time.Hour) })
	add("relay", 8, func(l *dial.Inbound, _ int) { l.Block = start.Add(2 * time.Hour) })
	add("near", 8, func(l *dial.Inbound, _ int) { l.RTT = time.Millisecond })
	add("old", 20, func(l *dial.Inbound, _ int) { l.Since = start })
	add("sybil", 60, func(l *dial.Inbound, i int) { l.IP = netip.AddrFrom4([4]byte{70, byte(i % 10), 1, byte(i)}) })
	for range 30 {
		out, ok := k.Evict(links)
		require.True(t, ok)
		require.Contains(t, string(out), "sybil")
		for i := range links {
			if links[i].Peer == out {
				links = append(links[:i], links[i+1:]...)
				break
			}
		}
	}
	add("guest", 1, func(l *dial.Inbound, _ int) { l.Guest, l.Useful, l.Since = true, start.Add(3*time.Hour), start })
	out, ok := k.Evict(links)
	require.True(t, ok)
	require.Equal(t, peerscore.PeerID("guest0"), out, "guests go first")
	_, ok = k.Evict(links[:3])
	require.False(t, ok, "all are protected")
}

func TestConfigIsRefusedWithAllReasons(t *testing.T) {
	require.NoError(t, dial.DefaultConfig().Validate())
	c := dial.DefaultConfig()
	c.Outbound = 1
	require.ErrorContains(t, c.Validate(), "AnchorSlots")
	_, err := dial.New(dial.Config{Outbound: -1, AnchorSlots: -1, BootstrapAfter: -1}, dial.Key{}, nil, nil)
	for _, name := range []string{"Outbound", "PerGroup", "AnchorSlots", "AtOnce", "Drags", "FeelerEvery", "BackoffMin", "BootstrapAfter"} {
		require.ErrorContains(t, err, name)
	}
	_, err = dial.New(dial.DefaultConfig(), dial.Key{}, []dial.Address{{Peer: "p"}}, nil)
	require.ErrorContains(t, err, "bootstrap")
}

func ExampleKeeper() {
	rng := rand.New(rand.NewPCG(1, 1)) // the node's own source
	k, err := dial.New(dial.DefaultConfig(), dial.Key{1}, []dial.Address{addr("seed", "30.1.1.1:4001")}, rng)
	if err != nil {
		fmt.Println(err)
		return
	}
	now := start
	for _, d := range k.Tick(now, nil) {
		fmt.Println("dial", d.Address.Peer, d.Address.At)
		fmt.Println("keep", k.Connected(now, d.Address))
	}
	k.Learn(now, "seed", []dial.Address{addr("other", "40.1.1.1:4001")})
	for _, d := range k.Tick(now.Add(time.Second), nil) {
		fmt.Println("dial", d.Address.Peer, d.Address.At)
	}
	// Output:
	// dial seed 30.1.1.1:4001
	// keep true
	// dial other 40.1.1.1:4001
}

// A network in one data centre is one group: diversity gives way to hanging
// together, and to nothing more.
func TestFewLinksGoBeforeDiversity(t *testing.T) {
	k := keeper(t, nil)
	for i := range 50 {
		k.Found(start, addr(fmt.Sprintf("p%d", i), fmt.Sprintf("10.1.%d.1:4001", i)))
	}
	now := start
	for range 100 {
		for _, d := range k.Tick(now, nil) {
			require.True(t, d.Why == dial.Feeler || k.Connected(now, d.Address))
		}
		now = now.Add(250 * time.Millisecond)
	}
	require.Equal(t, dial.DefaultConfig().Least, k.Outbound())
}

// A dial that was not carried out, for a reason of our own, is made again after a
// pause, however often that happens: it says nothing of the address.
func TestVoidDialsCountAgainstNobody(t *testing.T) {
	k := keeper(t, func(c *dial.Config) { c.Outbound, c.AnchorSlots = 2, 0 })
	k.Accepted(start, "somebody", netip.MustParseAddrPort("60.1.1.1:1"))
	only := addr("only", "50.1.1.1:4001")
	k.Found(start, only)
	now := start
	for range 20 {
		require.Equal(t, []dial.Dial{{Address: only, Why: dial.Outbound}}, k.Tick(now, nil))
		k.Void(now, only)
		require.Empty(t, k.Tick(now, nil), "not at once")
		now = now.Add(time.Hour)
	}
	for i := range 20_000 { // what failed would lose its place
		k.Found(now, addr(fmt.Sprintf("p%d", i), "50.1.1.1:4001"))
	}
	require.Equal(t, []dial.Dial{{Address: only, Why: dial.Outbound}}, k.Tick(now, nil))
	require.True(t, k.Connected(now, only))
	require.Equal(t, dial.Outbound, k.Why("only"))
	require.Zero(t, k.Why("somebody"))
	require.Zero(t, k.Why("nobody"))
}

func TestWhoWantsNoLinksDialsNobody(t *testing.T) {
	k := keeper(t, func(c *dial.Config) { c.Outbound = 0 }, addr("seed", "30.1.1.1:4001"))
	k.Found(start, addr("known", "50.1.1.1:4001"))
	require.Empty(t, k.Tick(start, nil))
	require.Empty(t, k.Tick(start.Add(time.Hour), nil))
}

// A peer that sends us away at once is not dialled again without a pause.
func TestShortLinksPause(t *testing.T) {
	k := keeper(t, nil)
	k.Found(start, addr("full", "50.1.1.1:4001"))
	require.Len(t, k.Tick(start, nil), 1)
	require.True(t, k.Connected(start, addr("full", "50.1.1.1:4001")))
	k.Gone(start.Add(time.Second), "full")
	require.Empty(t, k.Tick(start.Add(2*time.Second), nil))
	require.Len(t, k.Tick(start.Add(10*time.Second), nil), 1)
}

// Names resolve to other addresses as time goes by; what stays keeps its pause, and
// a name that lists the world is cut short.
func TestSeedsAreReplacedAndBounded(t *testing.T) {
	a, b := addr("a", "30.1.1.1:4001"), addr("b", "31.1.1.1:4001")
	k := keeper(t, nil, a)
	require.Len(t, k.Tick(start, nil), 1)
	k.Failed(start, a)
	k.Seeds([]dial.Address{a, {Peer: "not well formed"}, b})
	require.Equal(t, []dial.Dial{{Address: b, Why: dial.Bootstrap}}, k.Tick(start, nil), "a still pauses")
	k.Failed(start, b)

	var many []dial.Address
	for i := range 1000 {
		many = append(many, addr(fmt.Sprintf("p%d", i), fmt.Sprintf("32.%d.1.%d:4001", i/250, i%250)))
	}
	k.Seeds(many)
	dialled := 0
	for now := start; now.Before(start.Add(time.Minute)); now = now.Add(time.Second) {
		for _, d := range k.Tick(now, nil) {
			dialled++
			require.Contains(t, many[:dial.MaxSeeds], d.Address)
		}
	}
	require.Equal(t, dial.MaxSeeds, dialled, "as many as may be under way, and none twice")
}
