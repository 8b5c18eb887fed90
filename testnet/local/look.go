package local

import (
	"context"
	"path/filepath"
	"sync"

	"github.com/grapevine-p2p/grapevine/node/api"
)

// Status is a network as it is just now.
type Status struct {
	Dir     string         `json:"dir"`
	State                  // with PIDs of what is alive
	Ready   bool           `json:"ready"` // every node is alive, ready, and has its connections
	Daemons []DaemonStatus `json:"nodes"` // in place of those of State
}

// DaemonStatus is one node as it is just now.
type DaemonStatus struct {
	Daemon
	Alive   bool         `json:"alive"` // its process
	Ready   bool         `json:"ready"`
	Waiting []string     `json:"waiting,omitempty"` // what keeps it from being ready
	Error   string       `json:"error,omitempty"`   // why it could not be asked
	Head    *api.Ref     `json:"head"`              // null where it could not be asked
	Final   *api.Ref     `json:"final"`
	Peers   int          `json:"peers"`
	Mempool *api.Mempool `json:"mempool"`
	CPUS    *float64     `json:"cpu_s"` // processor seconds since its process began; null where it does not say
}

// Look says what the network of a folder does just now. A network that is down,
// or half of it, is no error.
func Look(ctx context.Context, dir string) (*Status, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	s, err := settled(dir)
	if err != nil {
		return nil, err
	}
	st := &Status{Dir: dir, State: *s, Ready: true, Daemons: make([]DaemonStatus, len(s.Nodes))}
	var asks sync.WaitGroup
	for i, d := range s.Nodes {
		asks.Go(func() { st.Daemons[i] = ask(ctx, d) })
	}
	asks.Wait()
	for _, d := range st.Daemons {
		st.Ready = st.Ready && d.Ready && d.Peers >= d.Links
	}
	return st, nil
}

// settled reads the state of a folder and corrects it by what is locked: a
// state file outlives a machine that was switched off.
func settled(dir string) (*State, error) {
	s, err := readState(dir)
	if err != nil {
		return nil, err
	}
	supervised := held(dir)
	if !supervised {
		s.Phase, s.Supervisor = Off, 0
	}
	for i := range s.Nodes {
		d := &s.Nodes[i]
		if supervised && (d.PID != 0 || s.Phase != On) {
			continue // the one who runs it knows; a home about to be locked must not be tried
		}
		d.PID = 0
		if held(d.Home) {
			d.PID = holder(d.Home)
		}
	}
	return s, nil
}

// ask asks one daemon.
func ask(ctx context.Context, d Daemon) DaemonStatus {
	st := DaemonStatus{Daemon: d, Alive: d.PID != 0}
	if !st.Alive {
		return st
	}
	client, err := api.NewClient(api.Options{Socket: d.APISocket, Timeout: askWithin})
	if err != nil {
		st.Error = err.Error()
		return st
	}
	defer client.Close()
	said, err := client.Status(ctx)
	if err != nil {
		st.Error = err.Error()
		return st
	}
	st.Ready, st.Waiting, st.Peers = said.Ready, said.Waiting, said.Peers
	st.Head, st.Final, st.Mempool = &said.Head, &said.Final, &said.Mempool
	scrape := metricsClient(d)
	defer scrape.CloseIdleConnections()
	if counted, err := readOne(ctx, scrape); err == nil && counted.cpu > 0 {
		st.CPUS = &counted.cpu
	}
	return st
}

// orphans are daemons of a network that nobody runs. The caller has its lock.
func orphans(s *State) []Daemon {
	var found []Daemon
	for _, d := range s.Nodes {
		if held(d.Home) {
			d.PID = holder(d.Home)
			found = append(found, d)
		}
	}
	return found
}
