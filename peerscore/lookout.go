package peerscore

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// A Lookout finds the peers of a mesh that pass on nothing, or much less than
// the others.
//
// Counting the copies that a peer sends is no measure: a peer that we always
// reach first owes us none, so that in a network with one busy origin half of
// all honest links bring nothing, and a peer that echoes what we sent brings
// much and is worth nothing. A Lookout therefore asks a question that only work
// answers: of some messages, drawn at random, the copy for one peer is held back
// for a moment ([Lookout.Hold]). A peer with any other honest neighbour has the
// message all the same, and owes us its copy, since it did not have it from us.
// To pass, a dropper has to give us in time whatever we do not give it, which is
// what an honest peer does.
//
// An answer is a pass, a copy that comes before ours went out; late, for a
// while afterwards (the other side may have held its copy back in turn, and
// sends it when it lets go); or a miss. Evidence adds up, between Clear and
// Convict, and who reaches Convict is convicted: its score is below zero until
// its sentence is over, whatever else it does. Sentences double.
//
// A peer that gave us nothing of its own for LiveFor is judged on every miss. A
// peer that did give something is judged against others that did, the second best
// of them: where all shed load, nobody is blamed for it. After a stall of our own
// every open question is void. In a mesh of fewer than MinMesh peers nobody is
// judged: there is no choice to be made, and those who depend on us alone look
// like those who give nothing.
//
// It is not safe for concurrent use. Its memory is bounded by the mesh, MaxOpen
// and MaxRecords.
type Lookout struct {
	config LookoutConfig // constant
	rng    *rand.Rand

	rate     float64 // of first copies, per second, smoothed
	rated    time.Time
	counted  float64
	ticked   time.Time
	calm     time.Time // nothing is held back before
	mesh     map[PeerID]*watched
	memory   shelf[int64] // of peers outside the mesh, by when they are forgotten (unix ms)
	memories map[PeerID]record
}

// record is what outlives a peer's time in the mesh.
type record struct {
	evidence float64
	misses   float64 // share of questions it missed, smoothed
	strikes  int
	answered int       // questions, in time or not, or missed
	until    time.Time // of the sentence
}

// held says whether anything is held against a peer.
func (r record) held() bool { return r.evidence > 0 || r.strikes > 0 || r.misses >= forgotten }

// watched is a peer of the mesh.
type watched struct {
	record
	left     bool          // the mesh before, without having answered much
	returned bool          // it left the mesh while something was held against it
	latest   time.Duration // by which an answer came after its release, at most
	asks     time.Time     // it is asked nothing before
	spared   float64       // questions that it was to be asked on average since the last one
	gave     time.Time     // last something of its own
	asked    []question    // and not judged yet, oldest first
}

// question is a message that was held back from a peer.
type question struct {
	key              uint64
	release, verdict time.Time
	weight           float64 // of its answer
	answer           answer
}

type answer int

const (
	none answer = iota // yet
	late               // after our copy went out
	pass
)

// LookoutConfig says how a Lookout asks and judges.
type LookoutConfig struct {
	// Settled is how often a peer is asked that answers. Unsure is for one with evidence
	// against it, with two questions past their time, that gave us nothing for LiveFor, or
	// came back after it left with something held against it or less than Settle answers.
	// Of who is in the mesh for Introduction or came back so, one question past its time
	// makes it Unsure, and evidence, two such questions, or more misses than are
	// nobody's fault make it Suspect.
	Settled, Unsure, Suspect Pace
	Introduction             time.Duration
	Settle                   int

	// Patience is the time, beside twice the round trip, for which a copy is held
	// back; Late the time beside it in which the answer may still come.
	Patience, Late time.Duration

	// MaxRTT is the longest round trip that is believed of a peer: it says itself how long it
	// takes to answer where that is measured.
	MaxRTT time.Duration

	// Grace is the time after it connected in which a peer is asked nothing, since
	// its own mesh is forming, and GraftGrace that after it came into our mesh.
	Grace, GraftGrace time.Duration

	// LiveFor is how long a peer counts as one that gives something.
	LiveFor time.Duration

	// MinMesh is the least mesh in which anybody is judged.
	MinMesh int

	// What an answer adds to the evidence, a pass takes from it.
	Miss, LateMiss, Pass float64

	// FullWeight questions a second count in full. Where more are asked, all of them
	// together weigh as much as so many: they make a verdict surer, but not so soon that
	// a peer which stood still for some seconds had no time to be heard from again. Of who
	// left and came back, twice as many count in full.
	FullWeight float64

	// The evidence is between Clear, below which no passes take it, and Convict.
	Clear, Convict float64

	// Penalty is the score of a convicted peer.
	Penalty float64

	// Sentence is the first one; each further is twice the last, up to
	// MaxSentence. Who is not convicted for that long starts anew.
	Sentence, MaxSentence time.Duration

	// MaxStall is the longest pause between two ticks that is none.
	MaxStall time.Duration

	MaxOpen    int // questions to one peer
	MaxRecords int // peers outside the mesh that are remembered
}

// A Pace is how many questions a second are put to a peer of a busy mesh, and to which share
// of a quiet one's messages that is held.
type Pace struct{ PerSecond, Share float64 }

// DefaultLookoutConfig returns the settings of a public node.
//
// A peer that drops three quarters of everything is convicted within thirty seconds in
// every one of a million traces (docs/figures/laws.md), one that answered well and then
// stands still after more than five and a half. An honest peer that misses a tenth reaches
// Convict once in 10^6 walks from Clear (gambler's ruin).
func DefaultLookoutConfig() LookoutConfig {
	return LookoutConfig{
		Settled:      Pace{PerSecond: 1, Share: 0.25},
		Unsure:       Pace{PerSecond: 4, Share: 0.25},
		Suspect:      Pace{PerSecond: 8, Share: 0.75},
		Introduction: 8 * time.Second, // Sybils that are silent are found by then
		Settle:       8,
		Patience:     300 * time.Millisecond,
		Late:         2 * time.Second,
		MaxRTT:       1200 * time.Millisecond, // of a link of 500 ms, and some more
		Grace:        3 * time.Second,         // four heartbeats
		GraftGrace:   time.Second,             // until the other side knows, on the slowest line
		LiveFor:      6 * time.Second,
		MinMesh:      4,
		Miss:         1, LateMiss: 0.25, Pass: 0.5,
		FullWeight: 3,
		Clear:      -4, Convict: 8,
		Penalty:  35,
		Sentence: 2 * time.Minute, MaxSentence: time.Hour, // fifteen times a PRUNE's back-off: the mesh fills with others meanwhile
		MaxStall:   2 * time.Second,
		MaxOpen:    64,
		MaxRecords: 4096,
	}
}

// Validate reports every reason why the settings cannot be used. What a
// convicted peer loses must outweigh all that the Book's configuration lets it
// earn, and leave it its gossip.
func (c LookoutConfig) Validate(book Config) error {
	var errs []error
	refuse := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("peerscore: lookout: "+format, args...))
	}
	if !(c.Penalty > book.TopicScoreCap+book.MaxMerit) || !(c.Penalty <= -book.Thresholds.Gossip) {
		refuse("Penalty is %v, want more than topics and merits can add (%v) and no more than the Gossip threshold takes (%v)",
			c.Penalty, book.TopicScoreCap+book.MaxMerit, -book.Thresholds.Gossip)
	}
	for _, x := range []struct {
		name  string
		value float64
	}{
		{"Miss", c.Miss},
		{"LateMiss", c.LateMiss},
		{"Pass", c.Pass},
		{"FullWeight", c.FullWeight},
		{"Convict", c.Convict},
		{"-Clear", -c.Clear},
		{"Settled.PerSecond", c.Settled.PerSecond},
		{"Settled.Share", c.Settled.Share},
		{"Introduction", c.Introduction.Seconds()},
		{"Settle", float64(c.Settle)},
		{"Patience", c.Patience.Seconds()},
		{"Late", c.Late.Seconds()},
		{"MaxRTT", c.MaxRTT.Seconds()},
		{"Grace", c.Grace.Seconds()},
		{"GraftGrace", c.GraftGrace.Seconds()},
		{"LiveFor", c.LiveFor.Seconds()},
		{"Sentence", c.Sentence.Seconds()},
		{"MaxStall", c.MaxStall.Seconds()},
		{"MinMesh", float64(c.MinMesh)},
		{"MaxOpen", float64(c.MaxOpen)},
		{"MaxRecords", float64(c.MaxRecords)},
	} {
		if !positive(x.value) {
			refuse("%s is %v, want a number > 0", x.name, x.value)
		}
	}
	for _, x := range []struct {
		name         string
		pace, before Pace
		share        float64
	}{
		// Two honest peers that hold back from each other answer late: half of those of
		// their answers that both hold back.
		{"Unsure", c.Unsure, c.Settled, 0.25},
		{"Suspect", c.Suspect, c.Unsure, 1},
	} {
		if !(x.pace.PerSecond >= x.before.PerSecond) || !(x.pace.Share >= x.before.Share) || !(x.pace.Share <= x.share) {
			refuse("%s is %+v, want no less than %+v, and a share <= %v", x.name, x.pace, x.before, x.share)
		}
	}
	if c.MaxSentence < c.Sentence {
		refuse("MaxSentence is %v, want >= Sentence=%v", c.MaxSentence, c.Sentence)
	}
	return errors.Join(errs...)
}

// NewLookout returns a Lookout over an empty mesh. The settings must be valid.
func NewLookout(c LookoutConfig, rng *rand.Rand) *Lookout {
	return &Lookout{
		config: c, rng: rng,
		mesh:   make(map[PeerID]*watched),
		memory: newShelf[int64](c.MaxRecords), memories: make(map[PeerID]record),
	}
}

// Joined says that p, connected since met, is in the mesh.
func (l *Lookout) Joined(now time.Time, p PeerID, met time.Time) {
	if l.mesh[p] != nil {
		return
	}
	w := &watched{asks: now.Add(l.config.GraftGrace)}
	if forming := met.Add(l.config.Grace); forming.After(w.asks) {
		w.asks = forming
	}
	if old, ok := l.memories[p]; ok {
		if expires, _ := l.memory.rank(p); expires > now.UnixMilli() {
			w.record, w.left, w.returned = old, true, old.held()
		}
		l.memory.drop(p)
		delete(l.memories, p)
	}
	l.mesh[p] = w
}

// Left says that p is not in the mesh any more. What is still held back of it is not
// judged, nor is what may be as late as p was before: it is often we who prune. What was
// to come by now counts as missed, or whoever leaves before each verdict and comes back
// would never be found. It says whether that convicts p.
func (l *Lookout) Left(now time.Time, p PeerID) (convicted bool) {
	w := l.mesh[p]
	if w == nil {
		return false
	}
	delete(l.mesh, p)
	if now.Sub(l.ticked) <= l.config.MaxStall {
		for _, q := range w.asked {
			if q.release.Add(w.latest).Before(now) {
				l.weigh(now, w, q)
			}
		}
		convicted = l.convict(now, w)
	}
	if unsettled := w.answered < l.config.Settle && len(w.asked) > 0; !unsettled && !w.held() {
		return convicted
	}
	expires := now.Add(l.config.Sentence)
	if later := w.until.Add(l.config.MaxSentence); w.strikes > 0 && later.After(expires) {
		expires = later
	}
	if lost, full := l.memory.put(p, expires.UnixMilli()); full {
		delete(l.memories, lost)
	}
	l.memories[p] = w.record
	return convicted
}

// Live is how many peers of the mesh gave us something of their own in the last LiveFor.
func (l *Lookout) Live(now time.Time) (n int) {
	for _, w := range l.mesh {
		if l.live(now, w) {
			n++
		}
	}
	return n
}

// First counts a message that was new to us, from whomever.
func (l *Lookout) First(now time.Time, from PeerID) {
	l.counted++
	if w := l.mesh[from]; w != nil {
		w.gave = now
	}
}

// Hold decides whether the copy of a message that another peer gave us is held
// back from p, whose round trip takes rtt, and until when. The caller sends it
// then, or at once when [Lookout.Heard] says so: it always sends it. A message
// that p sent, or that is our own, is none to hold back.
func (l *Lookout) Hold(now time.Time, p PeerID, key uint64, rtt time.Duration) (until time.Time, ok bool) {
	w := l.mesh[p]
	if w == nil || len(l.mesh) < l.config.MinMesh || now.Before(l.calm) || now.Before(w.asks) ||
		len(w.asked) >= l.config.MaxOpen || now.Before(w.until) {
		return until, false
	}
	if w.open(key) != nil {
		return until, false
	}
	pace := l.pace(now, w)
	perSecond := min(pace.PerSecond, pace.Share*l.rate)
	share := perSecond / max(l.rate, 1e-9)
	if w.spared += share; l.rng.Float64() >= share && w.spared < longest {
		return until, false
	}
	w.spared = 0
	rtt = min(rtt, l.config.MaxRTT)
	trips, full := 2*rtt, l.config.FullWeight
	if w.hurried(l.config) {
		trips = rtt // it may not stay for two
	}
	if w.returned {
		full *= 2
	}
	until = now.Add(l.config.Patience + trips)
	w.asked = append(w.asked, question{
		key: key, release: until, verdict: until.Add(l.config.Late + 2*rtt), weight: min(1, full/perSecond),
	})
	return until, true
}

// longest is after how many questions' worth of messages a peer is asked for sure: chance would
// leave one in a million alone for longer than a dropper is to take.
const longest = 3

// pace is how often a peer is asked. A newcomer is no suspect yet: where most are Sybils, it may
// have nobody but us, and it is they who are to be found first.
func (l *Lookout) pace(now time.Time, w *watched) Pace {
	overdue := w.overdue(now)
	known := w.returned || now.Sub(w.asks) >= l.config.Introduction
	switch {
	case known && (w.evidence > 0 || w.misses > tolerated || overdue > 1):
		return l.config.Suspect
	case w.evidence > 0, overdue > 1, known && overdue > 0, w.returned, w.hurried(l.config), !l.live(now, w):
		return l.config.Unsure
	}
	return l.config.Settled
}

// hurried says whether p may leave before it has answered as much as others do in time.
func (w *watched) hurried(c LookoutConfig) bool { return w.returned || w.left && w.answered < c.Settle }

// open is the question about a message that is not answered yet; nil if there is none.
func (w *watched) open(key uint64) *question {
	i := slices.IndexFunc(w.asked, func(q question) bool { return q.key == key && q.answer == none })
	if i < 0 {
		return nil
	}
	return &w.asked[i]
}

// overdue is how many questions are past the time to answer them. Verdicts come
// seconds later, and whoever falls silent all at once is to be found sooner.
func (w *watched) overdue(now time.Time) (n int) {
	for _, q := range w.asked {
		if q.answer == none && q.release.Before(now) {
			n++
		}
	}
	return n
}

// Heard takes note of a copy from p, first or not, and says whether one is held
// back for p and should now be sent.
func (l *Lookout) Heard(now time.Time, p PeerID, key uint64) (release bool) {
	w := l.mesh[p]
	if w == nil {
		return false
	}
	q := w.open(key)
	if q == nil {
		return false
	}
	q.answer = late
	if now.Before(q.release) {
		q.answer, w.gave, release = pass, now, true
	} else {
		w.latest = max(w.latest, now.Sub(q.release))
	}
	l.judge(now, w, false) // what is past its time may be so by a stall of ours, which is for Tick to see
	return release
}

const (
	// missMemory is over how many questions the share of misses is smoothed.
	missMemory = 16
	// forgotten is the share of misses below which it is not remembered of a peer that left:
	// of one miss and a dozen passes.
	forgotten = 0.03
	// forgiven is after how long in the mesh it is forgotten of a peer that it left under
	// suspicion, if nothing is held against it by then: as long as a dropper has.
	forgiven = 30 * time.Second
)

// Tick judges what is due. It must come at least every half of MaxStall: a
// longer pause is a stall of our own, and voids what is open. It says who was
// convicted, in order.
func (l *Lookout) Tick(now time.Time) (convicted []PeerID) {
	l.measure(now)
	stalled := !l.ticked.IsZero() && now.Sub(l.ticked) > l.config.MaxStall
	l.ticked = now
	if stalled {
		l.calm = now.Add(l.config.MaxStall)
	}
	for _, p := range l.sorted() {
		w := l.mesh[p]
		if stalled {
			w.asked = nil
			w.gave = w.gave.Add(l.config.LiveFor) // it had no chance to give us anything
			continue
		}
		if l.judge(now, w, true); l.convict(now, w) {
			convicted = append(convicted, p)
		}
	}
	for {
		p, expires, ok := l.memory.lowest()
		if !ok || expires > now.UnixMilli() {
			return convicted
		}
		l.memory.drop(p)
		delete(l.memories, p)
	}
}

// judge weighs what is answered, and what is overdue, in the order in which it was asked: answers
// come sooner than verdicts on those that do not, and would clear whoever gives a few of them.
func (l *Lookout) judge(now time.Time, w *watched, overdue bool) {
	n := 0
	for _, q := range w.asked {
		if q.answer == none && (!overdue || q.verdict.After(now)) {
			break
		}
		l.weigh(now, w, q)
		n++
	}
	w.asked = slices.Delete(w.asked, 0, n)
}

// weigh adds one answer, or its absence, to the evidence.
func (l *Lookout) weigh(now time.Time, w *watched, q question) {
	w.answered++
	if q.answer == none {
		w.misses += (1 - w.misses) / missMemory
		l.blame(now, w, l.config.Miss*q.weight)
		return
	}
	w.misses -= w.misses / missMemory // late is not missed
	if q.answer == late {
		l.blame(now, w, l.config.LateMiss*q.weight)
		return
	}
	w.evidence = max(l.config.Clear, w.evidence-l.config.Pass*q.weight)
	if w.evidence == l.config.Clear && now.Sub(w.asks) > forgiven {
		w.returned = false
	}
}

// convict ends a trial whose evidence is enough.
func (l *Lookout) convict(now time.Time, w *watched) bool {
	if w.evidence < l.config.Convict {
		return false
	}
	if now.Sub(w.until) > l.config.MaxSentence {
		w.strikes = 0
	}
	w.until = now.Add(min(l.config.MaxSentence, l.config.Sentence<<min(w.strikes, 16)))
	w.strikes++
	w.evidence = l.config.Convict / 2 // on probation afterwards
	w.asked = nil
	return true
}

// blame adds to the evidence, unless others that give do no better.
func (l *Lookout) blame(now time.Time, w *watched, weight float64) {
	if l.live(now, w) {
		usual, known := l.usual(now, w)
		if !known || w.misses <= 2*usual+tolerated {
			return
		}
	}
	w.evidence += weight
}

// tolerated is the share of misses, beyond twice what is usual, that is nobody's
// fault.
const tolerated = 0.15

func (l *Lookout) live(now time.Time, w *watched) bool {
	return !w.gave.IsZero() && now.Sub(w.gave) < l.config.LiveFor
}

// usual is the share of misses of the second best of the others that give
// something. Not their median: droppers that send messages of their own would
// be most of them.
func (l *Lookout) usual(now time.Time, of *watched) (share float64, known bool) {
	best, second := math.Inf(1), math.Inf(1)
	for _, w := range l.mesh { // of two smallest numbers, whatever the order
		if w == of || !l.live(now, w) {
			continue
		}
		if w.misses < best {
			best, second = w.misses, best
		} else {
			second = min(second, w.misses)
		}
	}
	return second, !math.IsInf(second, 1)
}

// rateMemory is over how many seconds the rate of messages is smoothed.
const rateMemory = 5

func (l *Lookout) measure(now time.Time) {
	took := now.Sub(l.rated).Seconds()
	if l.rated.IsZero() {
		l.rated, l.counted = now, 0
		return
	}
	if took <= 0 {
		return
	}
	l.rate += (l.counted/took - l.rate) * min(1, took/rateMemory)
	l.rated, l.counted = now, 0
}

func (l *Lookout) sorted() []PeerID {
	out := make([]PeerID, 0, len(l.mesh))
	for p := range l.mesh {
		out = append(out, p)
	}
	slices.Sort(out) // map order is not ours to use
	return out
}

// Score is what a peer's score loses while it is convicted.
func (l *Lookout) Score(now time.Time, p PeerID) float64 {
	until := l.memories[p].until
	if w := l.mesh[p]; w != nil {
		until = w.until
	}
	if now.Before(until) {
		return -l.config.Penalty
	}
	return 0
}
