package local

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/grapevine-p2p/grapevine/node/api"
)

// elsewhere is a place in the event stream of no daemon: one that is asked to
// resume behind it begins with a gap, which proves that the stream is open, and
// goes on with all it has.
var elsewhere = strings.Repeat("0", 16) + "-0"

// observers listen to the event stream of each daemon.
type observers struct {
	tally  *tally
	failed func(error) // a stream ended for good

	mu   sync.Mutex // guards ends
	ends map[int]context.CancelFunc

	all  sync.WaitGroup
	open sync.WaitGroup // those whose stream is not open yet
}

// unwatch ends the observer of a daemon that is about to go away.
func (o *observers) unwatch(node int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ends[node]()
}

// watch starts an observer of one daemon. It ends with ctx.
func (o *observers) watch(ctx context.Context, node int, d Daemon) error {
	ctx, end := context.WithCancel(ctx)
	o.mu.Lock()
	if o.ends == nil {
		o.ends = make(map[int]context.CancelFunc)
	}
	o.ends[node] = end
	o.mu.Unlock()
	client, err := api.NewClient(api.Options{Socket: d.APISocket, Retry: time.Millisecond})
	if err != nil {
		end()
		return err
	}
	o.open.Add(1)
	o.all.Go(func() {
		defer end()
		defer client.Close()
		opened := sync.OnceFunc(o.open.Done)
		defer opened()
		filter := api.Filter{Kinds: []api.Kind{api.TxPending, api.TxIncluded, api.BlockAdded, api.Rollback}}
		first := true
		for e, err := range client.Events(ctx, filter, elsewhere) {
			switch {
			case err != nil:
				o.failed(fmt.Errorf("the event stream of %s ended: %w", d.Name, err))
				return
			case first && e.Kind == api.GapKind:
				opened()
			default:
				o.tally.heard(node, e, time.Now())
			}
			first = false
		}
	})
	return nil
}
