package overlay

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/wire"
)

const (
	// eclipseAfter is how long the mesh has to bring what a peer outside of it gave: some
	// times what gossip takes.
	eclipseAfter = 3 * time.Second
	// A period is eclipsed in which peers outside the mesh gave at least eclipseLeast
	// transactions that the mesh did not bring, and one of eclipseShare that came: of what
	// a mesh is too loaded to bring in time, its own peers give as much by repair. It ends once
	// that is so and eclipseMin is over, or after eclipseMax. From eclipseTimes in a row on
	// there is an alarm; what a partition left to be told is told by then.
	eclipseLeast = 8
	eclipseShare = 8
	eclipseTimes = 5
	eclipseMin   = 6 * time.Second
	eclipseMax   = 30 * time.Second
	// maxEclipse bounds what is remembered to have come by the mesh, and what it may yet bring.
	maxEclipse = 16384
)

// eclipse tells whether the mesh hides something: what peers outside of it give, all of them
// together, is held against what comes. It is safe for concurrent use.
type eclipse struct {
	mu    sync.Mutex // guards what follows
	met   *lately    // what the mesh brought
	unmet []unmet    // what it may yet bring, oldest first

	began  time.Time // of the period
	came   int       // accepted in the period, from any peer
	hidden int       // of those, what the mesh did not bring
	by     map[peer.ID]bool

	times int // eclipsed periods in a row
	links int // that brought what was hidden in the last of them, while there is an alarm
}

// unmet is a transaction that a peer outside the mesh gave.
type unmet struct {
	id   wire.TxID
	from peer.ID
	at   time.Time
}

func newEclipse() *eclipse {
	return &eclipse{met: newLately(maxEclipse, time.Minute), by: make(map[peer.ID]bool)}
}

// judged notes that a transaction came, of the mesh or not, and was accepted or not.
func (e *eclipse) judged(now time.Time, id wire.TxID, meshed, accepted bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if meshed {
		e.met.put(now, id)
	}
	if accepted {
		e.came++
	}
}

// gives notes that a peer outside the mesh gave a transaction on request, and that it was
// accepted.
func (e *eclipse) gives(now time.Time, from peer.ID, id wire.TxID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.unmet) < maxEclipse {
		e.unmet = append(e.unmet, unmet{id, from, now})
	}
}

// look counts what the mesh had time to bring, and returns on how many links peers keep giving
// what it hides: 0 if there is no alarm.
func (e *eclipse) look(now time.Time) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.unmet) > 0 && now.Sub(e.unmet[0].at) >= eclipseAfter {
		g := e.unmet[0]
		e.unmet = e.unmet[1:]
		if !e.met.has(now, g.id) {
			e.hidden++
			e.by[g.from] = true
		}
	}
	if e.began.IsZero() {
		e.began = now
	}
	eclipsed := e.hidden >= eclipseLeast && e.hidden*eclipseShare >= e.came
	if lasted := now.Sub(e.began); lasted < eclipseMin || lasted < eclipseMax && !eclipsed {
		return e.links
	}
	if eclipsed {
		e.times++
	} else {
		e.times = 0
	}
	e.links = 0
	if e.times >= eclipseTimes {
		e.links = len(e.by)
	}
	e.began, e.came, e.hidden, e.by = now, 0, 0, make(map[peer.ID]bool)
	return e.links
}
