package peerscore

import (
	"net/netip"
	"slices"
	"time"
)

// Hoods are the prefixes that an address is counted under, the narrow one first:
// IPv4 /24 and /16, IPv6 /48 and /32 (what a customer and what a provider is
// commonly given). None for an address that is not valid or a loopback's.
func Hoods(addr netip.Addr) []netip.Prefix {
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() || addr.IsLoopback() {
		return nil
	}
	widths := [2]int{24, 16}
	if addr.Is6() {
		widths = [2]int{48, 32}
	}
	out := make([]netip.Prefix, len(widths))
	for i, bits := range widths {
		out[i], _ = addr.Prefix(bits) // the widths fit
	}
	return out
}

// home is what one host commonly has: an IPv4 address, an IPv6 /64. Invalid for
// an address that is shared by all hosts, or none.
func home(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() || addr.IsLoopback() {
		return netip.Prefix{}
	}
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, _ := addr.Prefix(bits)
	return p
}

// ZoneBan is a ban of all addresses of a prefix.
type ZoneBan struct {
	Prefix netip.Prefix // canonical: masked, IPv4 as such
	Until  time.Time
	Reason string
	ByHand bool // the operator set it
}

// zones are the bans of prefixes. There are at most 33 + 129 widths, so an
// address is looked up in as many maps as there are widths in use.
type zones struct {
	limit int // constant, of bans and of counted homes

	bans   shelf[int64] // by the end, in unix milliseconds; keys are prefixes as text
	why    map[PeerID]ZoneBan
	widths map[zoneWidth]int // how many bans have each

	// How many peers of a home were banned, for as long as the last of these
	// bans lasts.
	homes  shelf[int64]
	counts map[PeerID]int
}

type zoneWidth struct {
	six  bool
	bits int
}

func newZones(limit int) zones {
	return zones{
		limit: limit, bans: newShelf[int64](limit), why: make(map[PeerID]ZoneBan), widths: make(map[zoneWidth]int),
		homes: newShelf[int64](limit), counts: make(map[PeerID]int),
	}
}

// canonical is a prefix as it is kept, and whether it is one.
func canonical(p netip.Prefix) (netip.Prefix, bool) {
	if !p.IsValid() {
		return p, false
	}
	if a := p.Addr(); a.Is4In6() {
		if p.Bits() < 96 {
			return p, false
		}
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked(), true
}

func (z *zones) put(b ZoneBan) {
	name, end := PeerID(b.Prefix.String()), b.Until.UnixMilli()
	if old, ok := z.bans.rank(name); ok && old >= end {
		return
	}
	if _, ok := z.why[name]; !ok {
		z.widths[zoneWidth{b.Prefix.Addr().Is6(), b.Prefix.Bits()}]++
	}
	if lost, full := z.bans.put(name, end); full {
		z.forget(lost)
	}
	b.Reason, b.Until = b.Reason[:min(len(b.Reason), MaxReason)], time.UnixMilli(end)
	z.why[name] = b
}

func (z *zones) drop(p netip.Prefix) (found bool) {
	name := PeerID(p.String())
	_, found = z.why[name]
	z.bans.drop(name)
	z.forget(name)
	return found
}

// forget takes away what goes with a ban.
func (z *zones) forget(name PeerID) {
	b, ok := z.why[name]
	if !ok {
		return
	}
	delete(z.why, name)
	width := zoneWidth{b.Prefix.Addr().Is6(), b.Prefix.Bits()}
	if z.widths[width]--; z.widths[width] == 0 {
		delete(z.widths, width)
	}
}

// covers finds the ban of an address that ends last, of those that which says.
func (z *zones) covers(now time.Time, addr netip.Addr, which func(ZoneBan) bool) (found ZoneBan, ok bool) {
	addr = addr.Unmap().WithZone("")
	for width := range z.widths { // whatever the order, the latest end is found
		if width.six != addr.Is6() {
			continue
		}
		p, err := addr.Prefix(width.bits)
		if err != nil {
			continue
		}
		b, is := z.why[PeerID(p.String())]
		if !is || !b.Until.After(now) || !which(b) {
			continue
		}
		if !ok || b.Until.After(found.Until) || b.Until.Equal(found.Until) && b.Prefix.Bits() > found.Prefix.Bits() {
			found, ok = b, true
		}
	}
	return found, ok
}

// count notes that a peer of an address is banned, and bans the address at the
// number given.
func (z *zones) count(now time.Time, addr netip.Addr, until time.Time, most int) {
	p := home(addr)
	if !p.IsValid() {
		return
	}
	name := PeerID(p.String())
	if lost, full := z.homes.put(name, until.UnixMilli()); full {
		delete(z.counts, lost)
	}
	if z.counts[name]++; z.counts[name] >= most {
		z.put(ZoneBan{Prefix: p, Until: until, Reason: "many banned peers"})
	}
}

// counted lists the homes with banned peers, by the end of the last ban.
func (z *zones) counted() []HomeBans {
	out := make([]HomeBans, 0, z.homes.len())
	z.homes.order.Scan(func(at place[int64]) bool {
		out = append(out, HomeBans{netip.MustParsePrefix(string(at.peer)), z.counts[at.peer], time.UnixMilli(at.rank)})
		return true
	})
	return out
}

// recount puts back what counted gave of one home.
func (z *zones) recount(h HomeBans) {
	name := PeerID(h.Prefix.String())
	end, _ := z.homes.rank(name)
	if lost, full := z.homes.put(name, max(end, h.Until.UnixMilli())); full {
		delete(z.counts, lost)
	}
	z.counts[name] = max(z.counts[name], h.Bans)
}

func (z *zones) advance(now time.Time) {
	for {
		name, end, ok := z.bans.lowest()
		if !ok || end > now.UnixMilli() {
			break
		}
		z.bans.drop(name)
		z.forget(name)
	}
	for {
		name, end, ok := z.homes.lowest()
		if !ok || end > now.UnixMilli() {
			break
		}
		z.homes.drop(name)
		delete(z.counts, name)
	}
}

// BanZone bans all addresses of a prefix until the time given. It returns what
// was noted, and false if the prefix is none or the time is over. A ban of the
// same prefix that ends later stays as it is.
func (b *Book) BanZone(now time.Time, z ZoneBan) (ZoneBan, bool) {
	now = b.advance(now)
	p, ok := canonical(z.Prefix)
	if !ok || !z.Until.After(now) {
		return ZoneBan{}, false
	}
	z.Prefix = p
	b.zones.put(z)
	return b.zones.why[PeerID(p.String())], true
}

// LiftZone ends the ban of a prefix, and says whether there was one.
func (b *Book) LiftZone(p netip.Prefix) bool {
	p, ok := canonical(p)
	return ok && b.zones.drop(p)
}

// BannedAddr says whether an address is in a banned prefix, and which ban ends
// last.
func (b *Book) BannedAddr(now time.Time, addr netip.Addr) (ZoneBan, bool) {
	return b.zones.covers(b.advance(now), addr, func(ZoneBan) bool { return true })
}

// BannedAddrByHand is BannedAddr for the bans that the operator set.
func (b *Book) BannedAddrByHand(now time.Time, addr netip.Addr) (ZoneBan, bool) {
	return b.zones.covers(b.advance(now), addr, func(z ZoneBan) bool { return z.ByHand })
}

// Zones lists the bans of prefixes, by prefix.
func (b *Book) Zones(now time.Time) []ZoneBan {
	b.advance(now)
	out := make([]ZoneBan, 0, len(b.zones.why))
	for _, z := range b.zones.why {
		out = append(out, z)
	}
	slices.SortFunc(out, func(x, y ZoneBan) int { return x.Prefix.Compare(y.Prefix) })
	return out
}

// BanByHand bans p until the time given, whatever ban there was before.
func (b *Book) BanByHand(now time.Time, p PeerID, until time.Time, why string) {
	if until.After(b.advance(now)) {
		b.unban(p)
		b.banUntil(p, until, verdict{why, true})
	}
}

// Unban ends the ban of p and clears its record, or it would be banned at its
// next offence. It says whether there was a ban.
func (b *Book) Unban(now time.Time, p PeerID) bool {
	banned := b.bannedAt(b.advance(now), p)
	if banned {
		b.unban(p)
		b.guilt.shelf.drop(p)
	}
	return banned
}

// HoodGuilt is the guilt that proven offences of all peers of an address'
// prefixes left, the larger of the two: what to prefer others by.
func (b *Book) HoodGuilt(now time.Time, addr netip.Addr) float64 {
	now = b.advance(now)
	most := 0.0
	for _, hood := range Hoods(addr) {
		most = max(most, b.hoods.at(now, PeerID(hood.String())))
	}
	return most
}
