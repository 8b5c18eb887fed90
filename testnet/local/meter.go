package local

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// reading is what the daemons have counted of themselves since they started,
// summed up.
type reading struct {
	at      time.Time
	copies  float64 // transaction messages that peers handed over
	dropped float64 // messages given up for load
	blamed  float64 // offences charged to peers
	rebuilt float64 // blocks put together that hold transactions
	asked   float64 // of these, those that needed a request
	cpu     float64 // seconds
	heap    float64 // bytes, garbage included
	live    float64 // bytes that the last collection left
	rss     float64 // bytes that the system gave
	written float64 // bytes, to libp2p streams
	counts  bool    // daemons count what they write

	wire     uint64 // bytes: written, or else what crossed the loopback interface
	wireOK   bool   // one of the two is known
	loopback bool   // it is the latter
}

// meter reads the metrics of all daemons.
type meter struct {
	clients []*http.Client

	mu      sync.Mutex // guards carried
	carried reading    // what daemons had counted before they went away
}

func newMeter(daemons []Daemon) *meter {
	m := &meter{}
	for _, d := range daemons {
		m.clients = append(m.clients, metricsClient(d))
	}
	return m
}

// metricsClient talks to a daemon over its socket.
func metricsClient(d Daemon) *http.Client {
	return &http.Client{
		Timeout: askWithin,
		Transport: &http.Transport{
			DisableCompression: true, // it would cost the daemon more than the answer does
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				var dialer net.Dialer
				return dialer.DialContext(ctx, "unix", d.APISocket)
			},
		},
	}
}

func (m *meter) close() {
	for _, c := range m.clients {
		c.CloseIdleConnections()
	}
}

// readEach asks all daemons side by side.
func (m *meter) readEach(ctx context.Context) ([]reading, error) {
	each := make([]reading, len(m.clients))
	asks, ctx := errgroup.WithContext(ctx)
	for i, c := range m.clients {
		asks.Go(func() (err error) {
			if each[i], err = readOne(ctx, c); err != nil {
				err = fmt.Errorf("read the metrics of %s: %w", daemonName(i), err)
			}
			return err
		})
	}
	return each, asks.Wait()
}

// read is what all daemons have counted together.
func (m *meter) read(ctx context.Context) (reading, error) {
	each, err := m.readEach(ctx)
	if err != nil {
		return reading{}, err
	}
	m.mu.Lock()
	sum := m.carried
	m.mu.Unlock()
	sum.at = time.Now()
	for _, r := range each {
		sum.add(r)
		sum.heap += r.heap
	}
	if each[0].counts { // all run the same program
		sum.wire, sum.wireOK = uint64(sum.written), true
		return sum, nil
	}
	sum.wire, sum.wireOK = loopbackBytes()
	sum.loopback = true
	return sum, nil
}

// add adds what only grows.
func (r *reading) add(more reading) {
	r.copies += more.copies
	r.dropped += more.dropped
	r.blamed += more.blamed
	r.rebuilt += more.rebuilt
	r.asked += more.asked
	r.cpu += more.cpu
	r.written += more.written
}

// carry keeps what a daemon has counted, which counts from zero when it comes
// back.
func (m *meter) carry(ctx context.Context, i int) error {
	last, err := readOne(ctx, m.clients[i])
	if err != nil {
		return fmt.Errorf("read its metrics: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.carried.add(last)
	return nil
}

func readOne(ctx context.Context, c *http.Client) (reading, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://daemon/metrics", nil)
	if err != nil {
		return reading{}, err
	}
	resp, err := c.Do(req)
	if err != nil {
		return reading{}, err
	}
	defer resp.Body.Close() // it was only read
	if resp.StatusCode != http.StatusOK {
		return reading{}, fmt.Errorf("it answered %s", resp.Status)
	}
	return parseMetrics(resp.Body)
}

// parseMetrics takes what a reading needs out of Prometheus' text format.
func parseMetrics(text io.Reader) (r reading, err error) {
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		cut := strings.LastIndexByte(lines.Text(), ' ') // a label may hold spaces
		if cut < 0 || strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		v, err := strconv.ParseFloat(lines.Text()[cut+1:], 64)
		if err != nil {
			return reading{}, fmt.Errorf("metric %q: %w", lines.Text(), err)
		}
		name, labels, _ := strings.Cut(lines.Text()[:cut], "{")
		switch name {
		case "grapevine_transactions_judged_total", "grapevine_transactions_duplicate_total":
			r.copies += v
		case "grapevine_messages_dropped_total":
			r.dropped += v
		case "grapevine_offences_total":
			r.blamed += v
		case "grapevine_blocks_rebuilt_total":
			switch {
			case strings.Contains(labels, `how="empty"`): // they prove nothing
			case strings.Contains(labels, `how="at_once"`):
				r.rebuilt += v
			default:
				r.rebuilt, r.asked = r.rebuilt+v, r.asked+v
			}
		case "grapevine_stream_bytes_total":
			r.counts = true
			if strings.Contains(labels, `direction="out"`) {
				r.written += v
			}
		case "process_cpu_seconds_total":
			r.cpu += v
		case "go_memstats_heap_alloc_bytes":
			r.heap += v
		case "go_gc_heap_live_bytes":
			r.live += v
		case "process_resident_memory_bytes":
			r.rss += v
		}
	}
	return r, lines.Err()
}

// loopbackBytes is what the loopback interface has carried, headers included,
// for all programs of this machine.
func loopbackBytes() (uint64, bool) {
	f, err := os.Open("/proc/net/dev")
	if err != nil {
		return 0, false
	}
	defer f.Close() // it was only read
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, rest, ok := strings.Cut(strings.TrimSpace(lines.Text()), ":"); ok && name == "lo" {
			if fields := strings.Fields(rest); len(fields) > 0 {
				n, err := strconv.ParseUint(fields[0], 10, 64)
				return n, err == nil
			}
		}
	}
	return 0, false
}
