package overlay

import "sync"

// crew is the work that Run must have behind it before it returns, where the work is
// started by others: by notifications of libp2p and by validators of pubsub.
type crew struct {
	mu     sync.Mutex // guards closed, and that nothing is added once it is set
	closed bool
	work   sync.WaitGroup
}

// enter begins a piece of work, unless it is too late. The caller calls leave once.
func (c *crew) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.work.Add(1)
	return true
}

func (c *crew) leave() { c.work.Done() }

// spawn runs f on a goroutine of its own, unless it is too late.
func (c *crew) spawn(f func()) bool {
	if !c.enter() {
		return false
	}
	go func() {
		defer c.leave()
		f()
	}()
	return true
}

// wait lets nothing more begin and waits for the rest.
func (c *crew) wait() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.work.Wait()
}
