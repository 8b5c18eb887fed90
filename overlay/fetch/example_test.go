package fetch_test

import (
	"fmt"
	"time"

	"github.com/grapevine-p2p/grapevine/overlay/fetch"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Two peers announce a transaction. The one that we dialled is asked, does not
// answer in time, and so the other is.
func Example() {
	tracker, err := fetch.New(fetch.DefaultConfig(), fetch.Key{1, 2, 3})
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	id := wire.TxID{0xab}
	tracker.Announced(now, fetch.Source{Peer: "inbound"}, id)
	tracker.Announced(now, fetch.Source{Peer: "dialled", Preferred: true, RTT: 50 * time.Millisecond}, id)
	for range 3 {
		requests, broken := tracker.Tick(now)
		for _, b := range broken {
			fmt.Println(b.Peer, "did not answer in time")
		}
		for _, r := range requests {
			fmt.Println("ask", r.Peer, "for", len(r.IDs), "within", r.Until.Sub(now))
		}
		if at, ok := tracker.Next(); ok {
			now = at
		}
	}
	tracker.Arrived(id)
	fmt.Println(tracker.Len(), "wanted")
	// Output:
	// ask dialled for 1 within 250ms
	// dialled did not answer in time
	// ask inbound for 1 within 150ms
	// 0 wanted
}
