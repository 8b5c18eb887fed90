package sim

import (
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/testnet/scenario"
)

// What a run needs, in MB, as it was found with 20 to 200 nodes.
const (
	baseMB      = 60.0   // the program
	perNodeMB   = 3.0    // one node without connections
	perLinkMB   = 0.35   // both ends of one connection
	stored      = 4.0    // times a block's size, on each node: log, table and cache of the store
	flying      = 8.0    // times a block's size, on each node, while what is lacking of it spreads
	whole       = 25.0   // the same where blocks travel whole, a copy to each mesh peer
	perTxKB     = 0.5    // one transaction in one node, but for its bytes: indexes, seen caches, observer
	perTxByte   = 8.0    // times a transaction's size, on each node: pool, message cache, queues, a block in the store
	perFloodMB  = 3.0    // one link of an attacker that sends without end: queues and what is decoded of them
	underWay    = 3.0    // times a frame of such an attacker, on each of its links
	shapedBytes = 1300.0 // mean transaction of the real blocks
	spare       = 0.9    // share of the available memory that a run may take
	minimumMB   = 512.0  // below this no limit is worth setting
	// garbage is how many times what it needs a run may take to collect less
	// often. Beyond it little is gained.
	garbage = 3.0
)

// estimate is about how much memory a run needs at its peak, in MB.
func estimate(s *scenario.Scenario) float64 {
	nodes := float64(s.Nodes)
	count, bytes := s.Volume(shapedBytes)
	txs := count*perTxKB + bytes/1e3*perTxByte
	blocks := float64(s.Blocks.Size) / 1e6 * whole
	if s.Relay == report.RelayGossip || s.Relay == report.RelayVine {
		blocks = float64(s.Blocks.Size) / 1e6 * (flying + stored*float64(s.Blocks.Count))
	}
	return baseMB + nodes*(perNodeMB+float64(s.Network.Dials)*perLinkMB+blocks+txs/1e3) + flooding(s)
}

// flooding is what attackers add that send without end, in MB. Our nodes keep
// nothing of it. The library keeps it: what looks like a message on all nodes,
// what is told of oneself where it was told.
func flooding(s *scenario.Scenario) (mb float64) {
	for _, a := range s.Attackers {
		perSecond, frame := a.Burden()
		if perSecond == 0 {
			continue
		}
		frame /= 1e6
		attackers, links := float64(a.Number(s.Nodes)), float64(2*s.Network.Dials)
		if a.Links > 0 {
			links = float64(a.Links)
		}
		mb += attackers * links * (perFloodMB + underWay*frame)
		if s.Relay == report.RelayGossip || s.Relay == report.RelayVine {
			continue
		}
		sent := perSecond * frame // to each link, in a second
		if s.Network.Mbps > 0 {
			sent = min(sent, s.Network.Mbps/8/links)
		}
		copies := float64(s.Nodes)
		if a.Kind == "control-flood" {
			copies = links
		}
		mb += attackers * copies * sent * a.Lasts(s).Seconds()
	}
	return mb
}

// fits fails where the run would not fit in memory, and returns the limit to
// set, in MB; 0 where this system does not say what it has.
func fits(s *scenario.Scenario) (limitMB int, err error) {
	free, ok := AvailableMB()
	if !ok {
		return 0, nil
	}
	need := estimate(s)
	if need > free*spare {
		return 0, fmt.Errorf("%d nodes with %d dials need about %.1f GB of memory and %.1f GB are available; take fewer nodes (--nodes), world core, or a larger machine",
			s.Nodes, s.Network.Dials, need/1e3, free/1e3)
	}
	return int(max(min(free*spare, need*garbage), minimumMB)), nil
}

// AvailableMB is the memory that this machine, and the container that this
// process may be in, can give without swapping, in 10^6 bytes; false where
// neither says so.
func AvailableMB() (float64, bool) {
	root := os.DirFS("/")
	free, ok := machineMB(root)
	if granted, bounded := grantedMB(root); bounded && (!ok || granted < free) {
		return granted, true
	}
	return free, ok
}

func machineMB(root fs.FS) (float64, bool) {
	text, err := fs.ReadFile(root, "proc/meminfo")
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) >= 2 && fields[0] == "MemAvailable:" {
			kb, err := strconv.ParseFloat(fields[1], 64)
			return kb / 1e3, err == nil
		}
	}
	return 0, false
}
