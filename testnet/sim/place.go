package sim

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// life is when a seat could publish and receive.
type life struct{ from, to time.Time }

// running is a participant at work.
type running struct {
	Participant
	stop context.CancelFunc
}

// place is a seat and who lives there.
type place struct {
	Seat
	relay  Relay
	honest bool

	restart chan time.Duration // how long to be away

	mu    sync.Mutex // guards what follows
	up    *running   // nil unless ready
	lives []life     // the last one lasts as long as up is set
}

// lawless says whether the place is that of an attacker who needs turns to make
// blocks in.
func (p *place) lawless() bool { return p.Attack != nil && p.Attack.Produces() }

// participant is who is ready at this place, or nil.
func (p *place) participant() Participant {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.up == nil {
		return nil
	}
	return p.up.Participant
}

// alive tells whether the place was up all the time from from to to.
func (p *place) alive(from, to time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lives {
		if !l.from.After(from) && (l.to.IsZero() || !l.to.Before(to)) {
			return true
		}
	}
	return false
}

// upBetween is for how long the place was up between two times, in all and in its longest
// life there.
func (p *place) upBetween(from, to time.Time) (all, longest time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lives {
		begin, end := from, to
		if l.from.After(begin) {
			begin = l.from
		}
		if !l.to.IsZero() && l.to.Before(end) {
			end = l.to
		}
		up := max(0, end.Sub(begin))
		all, longest = all+up, max(longest, up)
	}
	return all, longest
}

// inhabit runs one participant after the other until ctx ends.
func (p *place) inhabit(ctx context.Context, after time.Duration) error {
	if !Sleep(ctx, after) {
		return nil
	}
	for ctx.Err() == nil {
		away, err := p.live(ctx)
		if err != nil {
			return fmt.Errorf("seat %d: %w", p.Number, err)
		}
		if !Sleep(ctx, away) {
			return nil
		}
	}
	return nil
}

// live runs one participant until ctx ends or the place is to restart; then it
// returns how long to be away.
func (p *place) live(ctx context.Context) (away time.Duration, err error) {
	participant, err := p.relay.New(p.Seat)
	if p.Finds > 0 {
		p.Neighbours = nil // whoever comes back has to remember
	}
	if err != nil {
		return 0, err
	}
	select {
	case <-p.restart: // meant for the one before
	default:
	}
	inner, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- participant.Run(inner) }()
	ready := participant.Ready()
	for {
		select {
		case <-ready:
			ready = nil
			p.begin(&running{participant, stop})
			continue
		case away = <-p.restart:
		case <-ctx.Done():
		case err := <-ended:
			p.end()
			if err == nil && ctx.Err() == nil {
				err = errors.New("stopped by itself")
			}
			return 0, err
		}
		p.end()
		stop()
		return away, <-ended
	}
}

func (p *place) begin(r *running) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.up = r
	p.lives = append(p.lives, life{from: time.Now()})
}

func (p *place) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.up != nil {
		p.up = nil
		p.lives[len(p.lives)-1].to = time.Now()
	}
}

// Sleep waits, in the time of whoever calls it, and tells whether ctx let it.
func Sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
