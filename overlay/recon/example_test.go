package recon_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"time"

	"github.com/grapevine-p2p/grapevine/overlay/recon"
	"github.com/grapevine-p2p/grapevine/wire"
)

// A shell around a session carries frames from one side to the other, runs scans
// and lets time pass. This one does it for both sides, at once and in memory.
func Example() {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	rng := rand.New(rand.NewPCG(1, 2)) // crypto/rand outside of examples, for the salts
	asks, err := recon.NewInitiator(recon.DefaultConfig(), &recon.Large{}, recon.Salt{1}, rng)
	if err != nil {
		fmt.Println(err)
		return
	}
	answers, err := recon.NewResponder(recon.DefaultConfig(), &recon.Large{}, recon.Salt{2})
	if err != nil {
		fmt.Println(err)
		return
	}
	sets := []map[wire.TxID]bool{
		{{1}: true, {2}: true, {3}: true},
		{{2}: true, {3}: true, {4}: true, {5}: true},
	}

	type machine interface {
		Step(now time.Time, ev recon.Event, out []recon.Action) []recon.Action
	}
	sides := []machine{asks, answers}
	type input struct {
		side int
		ev   recon.Event
	}
	for queue := []input{{0, recon.Tick{}}}; len(queue) > 0; {
		in := queue[0]
		queue = queue[1:]
		for _, action := range sides[in.side].Step(now, in.ev, nil) {
			switch a := action.(type) {
			case recon.Send:
				fmt.Printf("%d sends %T of %d bytes\n", in.side, a.Frame, len(recon.Encode(nil, a.Frame)))
				queue = append(queue, input{1 - in.side, recon.Received(a)})
			case recon.RunScan:
				a.Scan.Run(maps.Keys(sets[in.side]))
				queue = append(queue, input{in.side, recon.Scanned(a)})
			case recon.Learned:
				fmt.Println(in.side, "learns of", len(a.IDs))
			case recon.Compared:
				fmt.Println(in.side, "found", a.Theirs, "of theirs and", a.Ours, "of ours")
			case recon.Close:
				fmt.Println(in.side, "closes:", a.Err)
			}
		}
	}
	// Output:
	// 0 sends recon.Greeting of 9 bytes
	// 1 sends recon.Greeting of 9 bytes
	// 0 sends recon.Open of 38 bytes
	// 1 sends recon.Symbols of 393 bytes
	// 0 found 2 of theirs and 1 of ours
	// 0 sends recon.Need of 17 bytes
	// 0 sends recon.IDs of 33 bytes
	// 0 sends recon.Done of 1 bytes
	// 1 learns of 1
	// 1 sends recon.IDs of 65 bytes
	// 1 sends recon.Done of 1 bytes
	// 0 learns of 2
}
