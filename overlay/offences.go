package overlay

import (
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/overlay/compact"
	swim "github.com/grapevine-p2p/grapevine/overlay/member"
	"github.com/grapevine-p2p/grapevine/overlay/recon"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
)

// Lie is a provable defect of an answer that we asked for. Its text is a short machine code.
type Lie string

const (
	// NotAsked: the answer holds what was not asked for.
	NotAsked Lie = "not_asked"
	// WrongBody: the answer's transactions are not those of the block it names.
	WrongBody Lie = "wrong_body"
	// BadAnswer: the answer is not one by its protocol.
	BadAnswer Lie = "bad_answer"
)

func (l Lie) Error() string { return "overlay: answer: " + string(l) }

// Breach is a budget of its own that a peer broke.
type Breach string

const (
	// TooManyStreams: more gossip streams opened than any client needs.
	TooManyStreams Breach = "too_many_streams"
	// TooManyRequests: more requests than the budget allows.
	TooManyRequests Breach = "too_many_requests"
	// TooManyMessages: more gossip than the budget allows, for long.
	TooManyMessages Breach = "too_many_messages"
)

func (b Breach) Error() string { return "overlay: breach: " + string(b) }

// errTooManyAvoidable says that a peer keeps passing on what fixed rules refuse.
var errTooManyAvoidable = errors.New("overlay: passes on what fixed rules refuse")

// offenceFor says which offence, if any, a failed check proves against the peer that
// sent the message. Nothing else in this repository turns an error into an offence.
func offenceFor(err error) (peerscore.Offence, bool) {
	var (
		frame  FrameError
		lie    Lie
		breach Breach
		fault  recon.Fault
		shape  recon.FrameError
		member swim.Malformed
		record RecordError
		part   compact.Fault
	)
	switch {
	case err == nil:
		return 0, false
	case errors.As(err, &lie):
		return peerscore.LyingAnswer, true
	case errors.As(err, &breach):
		return peerscore.BudgetBreach, true
	case errors.As(err, &frame):
		return offenceForFrame(frame)
	case errors.As(err, &shape):
		return peerscore.BadFrame, true
	case errors.As(err, &fault):
		return offenceForSession(fault)
	case errors.As(err, &member):
		if member == swim.BadSignature {
			return peerscore.LyingAnswer, true // who passes one on has to have checked it
		}
		return peerscore.BadFrame, true
	case errors.As(err, &record):
		return peerscore.BadFrame, true // it came in a frame
	case errors.As(err, &part):
		return offenceForPart(part)
	case errors.Is(err, errTooManyAvoidable):
		return peerscore.Avoidable, true
	case errors.Is(err, errNotReading):
		return peerscore.SlowReader, true
	case errors.Is(err, errWithheld), errors.Is(err, errUngiving), errors.Is(err, errUnfetched):
		return peerscore.BrokenPromise, true
	case errors.Is(err, errTwins):
		return peerscore.InvalidHeader, true
	}
	// Who met the error in a header says so by headerFault.
	offence := validation.ConsequenceOf(err).Tx
	if errors.As(err, new(headerFault)) {
		offence = validation.ConsequenceOf(err).Header
	}
	return offence, offence != 0
}

func offenceForFrame(e FrameError) (peerscore.Offence, bool) {
	switch e {
	case FramePrefix, FrameTooLarge, FrameEmptyElement, FrameBomb, FrameGarbage:
		return peerscore.BadFrame, true
	case FrameTooMany:
		return peerscore.BudgetBreach, true
	case FrameCut, FrameSlow:
		return 0, false // a bad line or a stopped process does that too
	}
	return 0, false
}

// offenceForSession is for what a peer did in a session of reconciliation.
func offenceForSession(f recon.Fault) (peerscore.Offence, bool) {
	switch f {
	case recon.OutOfTurn, recon.BadRange, recon.NotAsked:
		return peerscore.LyingAnswer, true
	case recon.TooOften:
		return peerscore.BudgetBreach, true
	case recon.Overworked, recon.Inconsistent, recon.Undecodable, recon.Invented, recon.Withheld:
		return peerscore.BrokenPromise, true
	case recon.Stalled:
		return 0, false // a bad line or a stopped process does that too
	}
	return 0, false
}

// headerFault marks an error that was met in a header or compact block.
type headerFault struct{ error }

func (e headerFault) Unwrap() error { return e.error }

// court keeps the book of offences. It is the only one that records any.
type court struct {
	now    func() time.Time // constant
	hook   func(p peerscore.PeerID, o peerscore.Offence, err error)
	log    *slog.Logger
	banned func(p peer.ID, why string) // acts on a ban; called without mu
	addr   func(p peer.ID) netip.Addr  // of a connection; invalid if unknown

	mu   sync.Mutex // guards what follows
	book *peerscore.Book
}

// judge charges p with what err proves, if it proves anything. An offence that bans
// also cuts the connection.
func (c *court) judge(p peer.ID, err error) {
	offence, ok := offenceFor(err)
	if !ok {
		return
	}
	now, addr := c.now(), c.addr(p)
	c.mu.Lock()
	already := c.book.Banned(now, peerscore.PeerID(p))
	banned := c.book.RecordAt(now, peerscore.PeerID(p), addr, offence)
	c.mu.Unlock()

	c.log.Debug("peer committed an offence", "peer", p, "offence", offence, "err", err)
	if c.hook != nil {
		c.hook(peerscore.PeerID(p), offence, err)
	}
	if banned && !already {
		c.log.Warn("peer is banned", "peer", p, "offence", offence, "err", err)
		c.banned(p, offence.String())
	}
}

// earn credits a peer with something of use.
func (c *court) earn(p peer.ID) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.book.Earn(now, peerscore.PeerID(p))
}

// proven is what p provably did makes of its score alone.
func (c *court) proven(p peer.ID) float64 {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.book.Proven(now, peerscore.PeerID(p))
}

// ban keeps a peer out for a time and cuts the connection.
func (c *court) ban(p peer.ID, barred time.Duration, why string) {
	now := c.now()
	c.mu.Lock()
	c.book.Ban(now, peerscore.PeerID(p), now.Add(barred), why)
	c.mu.Unlock()
	c.log.Warn("peer is cut", "peer", p, "why", why, "for", barred)
	c.banned(p, why)
}

// score is the application's part of GossipSub's score. It takes one lock that is never
// held while calling out: GossipSub asks under its own.
func (c *court) score(p peer.ID) float64 {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.book.Score(now, peerscore.PeerID(p))
}

func (c *court) isBanned(p peer.ID) bool {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.book.Banned(now, peerscore.PeerID(p))
}
