package main

import (
	"fmt"
	"io"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// bar shows on a terminal how far a run is.
type bar struct {
	all  *mpb.Progress
	line *mpb.Bar

	now chan testnetProgress // holds the latest one, for the bar's own goroutine
}

// barSteps is what the whole run counts as.
const barSteps = 1000

// newBar returns nil where nobody looks, or where the cursor cannot be moved.
func newBar(stream io.Writer, getenv func(string) string, name string) *bar {
	if !isTerminal(stream) || getenv("TERM") == "dumb" {
		return nil
	}
	b := &bar{all: mpb.New(mpb.WithOutput(stream), mpb.WithWidth(80)), now: make(chan testnetProgress, 1)}
	last := testnetProgress{Phase: "starting"}
	b.line = b.all.AddBar(
		barSteps,
		mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Any(func(decor.Statistics) string {
			select {
			case last = <-b.now:
			default:
			}
			if last.Total == 0 {
				return fmt.Sprintf("%s: %s ", name, last.Phase)
			}
			return fmt.Sprintf("%s: %s, %.0f of %.0f s ", name, last.Phase, last.At, last.Total)
		})),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string {
			return fmt.Sprintf(" %d published, %d delivered ", last.Published, last.Delivered)
		}), decor.Elapsed(decor.ET_STYLE_GO)),
	)
	return b
}

// show puts p on the bar. It does not wait.
func (b *bar) show(p testnetProgress) {
	select {
	case <-b.now: // an older one that was not drawn
	default:
	}
	select {
	case b.now <- p:
	default:
	}
	if p.Total > 0 {
		b.line.SetCurrent(min(int64(p.At/p.Total*barSteps), barSteps-1))
	}
}

// end takes the bar off the terminal.
func (b *bar) end() {
	b.line.Abort(true)
	b.all.Wait()
}

const (
	// forecastFirst is when a run that nobody sees on a terminal begins to say
	// how long it will take: shorter ones say nothing.
	forecastFirst = 20 * time.Second

	// forecastEvery is how often it says so again.
	forecastEvery = 5 * time.Minute
)

// forecast says, where there is no bar, how long a run goes on.
type forecast struct {
	out   io.Writer
	name  string
	began time.Time
	next  time.Time // when something is said
}

func newForecast(out io.Writer, name string) *forecast {
	now := time.Now()
	return &forecast{out, name, now, now.Add(forecastFirst)}
}

// show says how far the run is, if it is time to.
func (f *forecast) show(p testnetProgress) {
	now := time.Now()
	if now.Before(f.next) {
		return
	}
	f.next = now.Add(forecastEvery)
	took := now.Sub(f.began)
	if p.At <= 0 || p.Total <= p.At {
		fmt.Fprintf(f.out, "%s: %s after %s\n", f.name, p.Phase, ago(took))
		return
	}
	left := time.Duration(float64(took) * (p.Total - p.At) / p.At)
	fmt.Fprintf(f.out, "%s: %s, %.0f of %.0f s after %s; at this pace it takes %s more\n", f.name, p.Phase, p.At, p.Total, ago(took), ago(left))
}
