package overlay

import (
	"cmp"
	"slices"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

// Score explains what GossipSub thinks of a peer: the lower of the two instances' numbers
// is what PeerInfo shows.
type Score struct {
	Peer     peer.ID
	Tx       float64 // of the transaction instance
	Block    float64
	Terms    []ScoreTerm
	Standing peerscore.Standing
}

// ScoreTerm is a summand of a score.
type ScoreTerm struct {
	Of string // tx or block; empty: of both
	peerscore.Term
}

// Terms of the application's part that no book keeps.
const (
	termSilence = "silence"
	termHello   = "hello"
)

// Scores explains the scores of all connected peers, by peer.
func (o *Overlay) Scores() []Score {
	var list []Score
	for _, p := range o.roster.connected() {
		if s, ok := o.Score(p); ok {
			list = append(list, s)
		}
	}
	return list
}

// Score explains the score of a peer. One that is not connected has what the book says of
// it; false if that is nothing.
func (o *Overlay) Score(p peer.ID) (Score, bool) {
	now := o.cfg.Now()
	o.court.mu.Lock()
	s := Score{Peer: p, Standing: o.court.book.Standing(now, peerscore.PeerID(p))}
	terms := o.court.book.Terms(now, peerscore.PeerID(p))
	o.court.mu.Unlock()

	own := peerscore.Sum(terms)
	if v := o.sentry.score(p); v != 0 {
		terms = append(terms, peerscore.Term{Name: termSilence, Value: v, Why: "does not pass on what it should"})
		own += v
	}
	if gossip := o.cfg.Score.Thresholds.Gossip; o.roster.silent(p) && own > gossip {
		terms = append(terms, peerscore.Term{Name: termHello, Value: gossip - own, Why: "has not said hello yet"})
		own = gossip
	}
	s.Tx, s.Block = own, own
	for _, t := range terms {
		s.Terms = append(s.Terms, ScoreTerm{Term: t})
	}
	m := o.roster.snapshot(p)
	for _, of := range []struct {
		name   string
		topic  *peerscore.Topic
		counts *pubsub.PeerScoreSnapshot
		sum    *float64
	}{
		{topicTx, &o.txScore, m.txCounts, &s.Tx},
		{topicBlock, &o.blockScore, m.blockCounts, &s.Block},
	} {
		for _, t := range o.routerTerms(*of.topic, of.counts) {
			s.Terms = append(s.Terms, ScoreTerm{of.name, t})
			*of.sum += t.Value
		}
	}
	return s, m.id != "" || len(s.Terms) > 0 || !s.Standing.BannedUntil.IsZero()
}

// routerTerms are what the router's counters come to, as the specification has it.
func (o *Overlay) routerTerms(t peerscore.Topic, counts *pubsub.PeerScoreSnapshot) []peerscore.Term {
	if counts == nil {
		return nil
	}
	var terms []peerscore.Term
	for _, c := range counts.Topics { // there is one
		terms = append(terms, t.Terms(peerscore.Counters{
			InMesh: c.TimeInMesh, First: c.FirstMessageDeliveries, Copies: c.MeshMessageDeliveries,
			Active: c.TimeInMesh > t.MeshActivation, Invalid: c.InvalidMessageDeliveries,
		})...)
	}
	r := o.cfg.Score.Router()
	return append(terms, r.Terms(peerscore.Sum(terms), counts.BehaviourPenalty)...)
}

// connected lists the peers that are connected, by id.
func (r *roster) connected() []peer.ID {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]peer.ID, 0, len(r.members))
	for p := range r.members {
		list = append(list, p)
	}
	slices.SortFunc(list, cmp.Compare[peer.ID])
	return list
}
