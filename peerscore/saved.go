package peerscore

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"net/netip"
	"slices"
	"time"
)

// Saved is what outlives a Book: every ban, and the records that weigh most.
type Saved struct {
	At        time.Time
	Standings []Standing
	Zones     []ZoneBan
	Hoods     []HoodGuilt
	Homes     []HomeBans
}

// HoodGuilt is what is held against a prefix that [Hoods] gives.
type HoodGuilt struct {
	Prefix netip.Prefix
	Guilt  float64
}

// HomeBans says how many peers of an address (IPv6: of a /64) were banned.
type HomeBans struct {
	Prefix netip.Prefix
	Bans   int
	Until  time.Time // when the last of these bans ends
}

// Save is what should outlive b: every ban in force and how many there were of each
// address, and the records of as many other peers, and of prefixes, as given, those that
// weigh most. It looks at no more records than that of each kind: while bans come in, it is
// called once a second, and scores wait for it.
func (b *Book) Save(now time.Time, records int) Saved {
	out := Saved{At: now, Zones: b.Zones(now)}
	now = b.advance(now)
	for p := range b.bans.ranks {
		out.Standings = append(out.Standings, b.Standing(now, p))
	}
	byPeer := func(x, y Standing) int { return cmp.Compare(x.Peer, y.Peer) }
	slices.SortFunc(out.Standings, byPeer) // map order is not ours to use

	var rest []Standing
	seen := make(map[PeerID]struct{})
	for _, t := range []*tally{&b.guilt, &b.doubt, &b.merit} {
		left := records
		for p := range t.heaviest(now) {
			if left == 0 {
				break
			}
			if b.bannedAt(now, p) {
				continue
			}
			left--
			if _, twice := seen[p]; !twice {
				seen[p] = struct{}{}
				rest = append(rest, b.Standing(now, p))
			}
		}
	}
	weight := func(s Standing) float64 { return max(s.Guilt, s.Doubt, s.Merit) }
	slices.SortFunc(rest, func(x, y Standing) int { return cmp.Or(cmp.Compare(weight(y), weight(x)), byPeer(x, y)) })
	out.Standings = append(out.Standings, rest[:min(records, len(rest))]...)

	for name := range b.hoods.heaviest(now) {
		if len(out.Hoods) == records {
			break
		}
		out.Hoods = append(out.Hoods, HoodGuilt{netip.MustParsePrefix(string(name)), b.hoods.at(now, name)})
	}
	out.Homes = b.zones.counted()
	return out
}

// Load puts back what Save gave, decayed by the time since. What no Book could have
// given changes nothing, and b keeps its bounds.
func (b *Book) Load(now time.Time, s Saved) {
	for _, standing := range s.Standings {
		b.Restore(s.At, now, standing)
	}
	for _, zone := range s.Zones {
		b.BanZone(now, zone)
	}
	now = b.advance(now)
	for _, hood := range s.Hoods {
		if slices.Contains(Hoods(hood.Prefix.Addr()), hood.Prefix) {
			b.hoods.restore(s.At, now, PeerID(hood.Prefix.String()), hood.Guilt, b.config.MaxHood)
		}
	}
	for _, h := range s.Homes {
		if h.Bans > 0 && h.Until.After(now) && h.Prefix.IsValid() && home(h.Prefix.Addr()) == h.Prefix {
			h.Bans = min(h.Bans, b.config.BansPerAddress) // more say no more
			b.zones.recount(h)
		}
	}
}

// Damaged says why bytes are no encoding of a Saved.
type Damaged string

func (d Damaged) Error() string { return "peerscore: damaged record of reputations: " + string(d) }

// MaxSaved bounds an encoding in bytes: twice what a Book of the default configuration
// gives with all its bans, the longest reasons and a few thousand records.
const MaxSaved = 32 << 20

// The encoding is a line with a checksum over all that follows, and JSON.
const savedLine = "grapevine reputation 1 %08x\n"

type savedJSON struct {
	AtMs      int64           `json:"at_ms"`
	Standings []savedStanding `json:"standings"`
	Zones     []savedZone     `json:"zones"`

	// Missing in what was written before there were these.
	Hoods []savedHood `json:"hoods,omitempty"`
	Homes []savedHome `json:"homes,omitempty"`
}

type savedStanding struct {
	Peer     []byte  `json:"peer"`
	Guilt    float64 `json:"guilt,omitempty"`
	Doubt    float64 `json:"doubt,omitempty"`
	Merit    float64 `json:"merit,omitempty"`
	BannedMs int64   `json:"banned_until_ms,omitempty"`
	Reason   string  `json:"reason,omitempty"`
	ByHand   bool    `json:"by_hand,omitempty"`
}

type savedZone struct {
	Prefix  netip.Prefix `json:"prefix"`
	UntilMs int64        `json:"until_ms"`
	Reason  string       `json:"reason,omitempty"`
	ByHand  bool         `json:"by_hand,omitempty"`
}

type savedHood struct {
	Prefix netip.Prefix `json:"prefix"`
	Guilt  float64      `json:"guilt"`
}

type savedHome struct {
	Prefix  netip.Prefix `json:"prefix"`
	Bans    int          `json:"bans"`
	UntilMs int64        `json:"until_ms"`
}

// Encode gives the bytes that DecodeSaved reads. Times keep their milliseconds.
func (s Saved) Encode() []byte {
	out := savedJSON{AtMs: s.At.UnixMilli()}
	for _, x := range s.Standings {
		y := savedStanding{Peer: []byte(x.Peer), Guilt: x.Guilt, Doubt: x.Doubt, Merit: x.Merit, Reason: x.Reason, ByHand: x.ByHand}
		if !x.BannedUntil.IsZero() {
			y.BannedMs = x.BannedUntil.UnixMilli()
		}
		out.Standings = append(out.Standings, y)
	}
	for _, z := range s.Zones {
		out.Zones = append(out.Zones, savedZone{z.Prefix, z.Until.UnixMilli(), z.Reason, z.ByHand})
	}
	for _, h := range s.Hoods {
		out.Hoods = append(out.Hoods, savedHood(h))
	}
	for _, h := range s.Homes {
		out.Homes = append(out.Homes, savedHome{h.Prefix, h.Bans, h.Until.UnixMilli()})
	}
	body, err := json.Marshal(out)
	if err != nil {
		panic(err) // no field of these types can fail: a Book holds no NaN
	}
	return append(fmt.Appendf(nil, savedLine, crc32.ChecksumIEEE(body)), body...)
}

// DecodeSaved reads what Encode wrote, or says by a [Damaged] why it is not
// that.
func DecodeSaved(b []byte) (Saved, error) {
	line, body, ok := bytes.Cut(b, []byte("\n"))
	if !ok || string(line)+"\n" != fmt.Sprintf(savedLine, crc32.ChecksumIEEE(body)) {
		return Saved{}, Damaged("the checksum is wrong, or it is of another version")
	}
	var in savedJSON
	if err := json.Unmarshal(body, &in); err != nil {
		return Saved{}, Damaged(err.Error())
	}
	out := Saved{At: time.UnixMilli(in.AtMs)}
	for _, x := range in.Standings {
		y := Standing{Peer: PeerID(x.Peer), Guilt: x.Guilt, Doubt: x.Doubt, Merit: x.Merit, Reason: x.Reason, ByHand: x.ByHand}
		if x.BannedMs != 0 {
			y.BannedUntil = time.UnixMilli(x.BannedMs)
		}
		out.Standings = append(out.Standings, y)
	}
	for _, z := range in.Zones {
		out.Zones = append(out.Zones, ZoneBan{z.Prefix, time.UnixMilli(z.UntilMs), z.Reason, z.ByHand})
	}
	for _, h := range in.Hoods {
		out.Hoods = append(out.Hoods, HoodGuilt(h))
	}
	for _, h := range in.Homes {
		out.Homes = append(out.Homes, HomeBans{h.Prefix, h.Bans, time.UnixMilli(h.UntilMs)})
	}
	return out, nil
}
