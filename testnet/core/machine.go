package core

import (
	"time"

	"github.com/grapevine-p2p/grapevine/overlay/member"
)

// Machine is what runs at a node. It decides and does nothing itself: the same
// events at the same times give the same actions.
type Machine interface {
	// Step tells the machine what happened and appends to out what it does
	// about it. Now is virtual time since the start of the run. Messages are
	// shared by all nodes: nobody may change one.
	Step(now time.Duration, ev Event, out []Action) []Action

	// Check says which bound or promise of its own the machine has broken. It
	// is called after every step, so it must be quick.
	Check() error
}

// Event is what happens to a machine.
type Event struct {
	Kind    EventKind
	Peer    int      // of LinkUp, LinkDown and Received: a node's number
	Message *Message // of Received and Submitted
	Timer   Timer    // of Fired
}

// EventKind says what an Event is about.
type EventKind uint8

// The events.
const (
	Started   EventKind = iota + 1 // the node is up; what it had in memory only is gone
	LinkUp                         // a connection to Peer is there
	LinkDown                       // and now it is not
	Received                       // Message came from Peer
	Fired                          // Timer is due
	Submitted                      // a wallet hands in the transaction Message
)

// Action is what a machine wants done.
type Action struct {
	Kind    ActionKind
	Peer    int           // of Send, Close and Takes
	Message *Message      // of Send, Made, Learned and Refused
	Timer   Timer         // of SetTimer
	At      time.Duration // of SetTimer: not before now
	State   member.State  // of Takes
	Err     error         // of Close, Refused and Broken: why
}

// ActionKind says what an Action is.
type ActionKind uint8

// The actions.
const (
	Send     ActionKind = iota + 1 // Message to Peer; nothing is sent where there is no link
	SetTimer                       // Fired comes at At; several may run
	Close                          // the link to Peer, for good, since Peer proved a fault
	Made                           // Message was made or handed in here, and is believed
	Learned                        // Message came from outside and is believed, for the first time
	Refused                        // Message was handed in and is not taken
	Broken                         // an invariant does not hold
	Takes                          // Peer, which may be any node, for alive, suspect or dead
)

// Timer names a timer of a machine.
type Timer uint8
