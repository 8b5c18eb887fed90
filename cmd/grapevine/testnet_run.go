package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/grapevine-p2p/grapevine/testnet/page"
	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/testnet/scenario"
)

// testnetRun is what the flags of `testnet run` say.
type testnetRun struct {
	relay string
	nodes int
	seed  uint64
	set   []string
	json  string // file, or - for standard output
	html  string // file
	svg   string // folder
	trace string // file
	cores []int
}

func (c *cli) testnetRunCommand() *cobra.Command {
	var o testnetRun
	cmd := &cobra.Command{
		Use:   "run SCENARIO",
		Short: "Run a scenario and report what it measured",
		Long: `Run a scenario: one that comes with the program, by its name (grapevine testnet
list shows them), or one of yours, by the path of its file.

It fails (exit status 1) if the run broke what the scenario expects of it.`,
		Example: `  grapevine testnet run smoke
  grapevine testnet run tx-100 --json ours.json --html ours.html
  grapevine testnet run tx-100 --relay stock --json stock.json
  grapevine testnet run my/scenario.yaml --nodes 50 --set network.loss=2%`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			settings := o.set
			for _, name := range []string{"relay", "nodes", "seed"} {
				if f := cmd.Flags().Lookup(name); f.Changed {
					settings = append(settings, name+"="+f.Value.String())
				}
			}
			return c.testnetRun(cmd.Context(), args[0], settings, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.relay, "relay", "", "how messages travel: "+strings.Join(worlds()[report.WorldSim].relays, ", "))
	f.IntVar(&o.nodes, "nodes", 0, "how many nodes, instead of what the scenario says")
	f.Uint64Var(&o.seed, "seed", 0, "of everything random, instead of what the scenario says")
	f.StringArrayVar(&o.set, "set", nil, "KEY=VALUE: change one value of the scenario, as network.loss=2%; may be given again")
	f.StringVar(&o.json, "json", "", "write the report to this file; - prints it, and nothing else, on standard output")
	f.StringVar(&o.html, "html", "", "write a page with plots to this file")
	f.StringVar(&o.svg, "svg", "", "write each plot to a file in this folder")
	f.StringVar(&o.trace, "trace", "", "write to this file the report together with what plots are drawn from")
	f.IntSliceVar(&o.cores, "cores", nil, "processor cores to pin the daemons of world local to, in turns (Linux)")
	return cmd
}

func (c *cli) testnetRun(ctx context.Context, name string, settings []string, o testnetRun) error {
	// --json names a file here: unless that is standard output, errors go to
	// people only.
	c.json, c.reported = o.json == "-", o.json != "-"
	var s *scenario.Scenario
	if err := unlessStopped(ctx, func() (err error) {
		s, err = chosenScenario(name, settings)
		return err
	}); err != nil {
		return err
	}
	w, err := worldOf(s)
	if err != nil {
		return err
	}
	if err := o.placesExist(); err != nil {
		return err
	}
	opts := testnetOptions{Trace: o.trace != "" || o.html != "" || o.svg != "", Cores: o.cores}
	shown := report.Printable(s.Name)
	opts.Progress = newForecast(c.err, shown).show
	b := newBar(c.err, c.getenv, shown)
	if b != nil {
		opts.Progress = b.show
	}
	began := time.Now()
	r, err := w.run(ctx, s, opts)
	if b != nil {
		b.end()
	}
	if err != nil {
		return runFailure(ctx, name, err)
	}
	took := time.Since(began)
	r.Settings = changedBy(o.set)
	// First the files: whoever reads the text may stop reading.
	err = unlessStopped(ctx, func() error { return c.deliver(r, o) })
	if !c.json {
		printTestnetReport(c.out, s, r, took)
	}
	if err != nil {
		return err
	}
	return brokenExpectations("keep every promise of the scenario", r.FailedExpectations)
}

// changedBy are the settings that a report does not tell of anyway.
func changedBy(set []string) []string {
	var changed []string
	for _, setting := range set {
		key, value, _ := strings.Cut(setting, "=")
		key = strings.TrimSpace(key)
		if !slices.Contains([]string{"world", "relay", "seed", "nodes"}, key) {
			changed = append(changed, key+"="+strings.TrimSpace(value))
		}
	}
	return changed
}

// runFailure is why a run has no report.
func runFailure(ctx context.Context, name string, err error) error {
	if known := (*failure)(nil); errors.As(err, &known) {
		return known // the world refused what was asked for
	}
	if ctx.Err() != nil {
		err = errors.New("it was ended before the run was over")
	}
	return &failure{tried: "run " + name, cause: err}
}

// chosenScenario is the one of that name, with the settings made.
func chosenScenario(name string, settings []string) (*scenario.Scenario, error) {
	s, err := scenario.Load(name)
	switch {
	case errors.Is(err, scenario.ErrUnknown):
		return nil, &failure{
			tried: "understand the command line", cause: err, code: "usage", exit: exitUsage,
			remedy: "`grapevine testnet list` shows the scenarios that come with the program",
		}
	case errors.As(err, new(*fs.PathError)):
		return nil, &failure{tried: "read the scenario", cause: err, remedy: "name a file, or one of those that `grapevine testnet list` shows", exit: exitUsage, code: "usage"}
	case err != nil:
		return nil, &failure{tried: "use the scenario", cause: err, remedy: "correct the file", exit: exitUsage, code: "usage"}
	}
	for _, setting := range settings {
		if err := s.Set(setting); err != nil {
			return nil, wrongUsage("%w", err)
		}
	}
	if err := s.Validate(); err != nil { // a setting does not go with the rest of the file
		return nil, &failure{tried: "use the scenario as it was set", cause: err, exit: exitUsage, code: "usage"}
	}
	return s, nil
}

// placesExist says before a long run that its report would have no place, or
// two parts of it the same one.
func (o testnetRun) placesExist() error {
	files := []string{o.html, o.trace}
	if o.json != "-" {
		files = append(files, o.json)
	}
	var names []string
	for _, name := range files {
		if name == "" {
			continue
		}
		if slices.ContainsFunc(names, func(other string) bool { return sameFile(name, other) }) {
			return wrongUsage("--json, --html and --trace are to write different files, and two of them name %s", name)
		}
		names = append(names, name)
		if info, err := os.Stat(name); err == nil && info.IsDir() {
			return noPlace(fmt.Errorf("%s is a folder", name))
		}
		if err := isFolder(filepath.Dir(name)); err != nil {
			return noPlace(err)
		}
	}
	if o.svg != "" {
		if err := isFolder(o.svg); err != nil {
			return noPlace(err)
		}
		names = append(names, filepath.Join(o.svg, "plot.svg"))
	}
	for _, name := range names {
		if err := report.Writable(name); err != nil {
			return &failure{tried: "write the report there", cause: err, remedy: "make room or name another place; nothing has been run"}
		}
	}
	return nil
}

// sameFile says whether two names are of one file, be it there or not.
func sameFile(a, b string) bool {
	if infoA, err := os.Stat(a); err == nil {
		infoB, err := os.Stat(b)
		return err == nil && os.SameFile(infoA, infoB)
	}
	return filepath.Base(a) == filepath.Base(b) && sameFile(filepath.Dir(a), filepath.Dir(b))
}

func isFolder(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder", name)
	}
	return nil
}

func noPlace(err error) error {
	return &failure{tried: "write the report there", cause: err, remedy: "make the folder first; nothing has been run"}
}

// deliver writes r to where it was asked for. One place that fails does not
// keep it from the others.
func (c *cli) deliver(r *report.Report, o testnetRun) error {
	var errs []error
	if o.html != "" {
		errs = append(errs, report.WriteFile(o.html, func(w io.Writer) error { return page.Write(w, r) }))
	}
	if o.svg != "" {
		errs = append(errs, writePlots(o.svg, r.Scenario+"-"+r.Relay, page.Plots(r)))
	}
	if o.trace != "" {
		errs = append(errs, r.WriteFile(o.trace))
	}
	bare := *r
	bare.Trace = nil
	switch o.json {
	case "":
	case "-":
		c.reported = true
		errs = append(errs, bare.WriteJSON(c.out))
	default:
		errs = append(errs, bare.WriteFile(o.json))
	}
	if err := errors.Join(errs...); err != nil {
		return &failure{tried: "write the report", cause: err, remedy: "make room or name another place, and run it again"}
	}
	return nil
}

// writePlots writes each plot to a file of its own in folder.
func writePlots(folder, prefix string, plots []page.Plot) error {
	var errs []error
	for _, p := range plots {
		// A report may come from elsewhere: what it calls itself is no path.
		name := strings.Map(fileRune, prefix+"-"+p.Name) + ".svg"
		errs = append(errs, report.WriteFile(filepath.Join(folder, name), func(w io.Writer) error {
			_, err := io.WriteString(w, p.SVG())
			return err
		}))
	}
	return errors.Join(errs...)
}

func fileRune(r rune) rune {
	if r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
		return r
	}
	return '_'
}

// brokenExpectations is the failure of a run that did not do what it had to.
func brokenExpectations(tried string, broken []string) error {
	if len(broken) == 0 {
		return nil
	}
	return &failure{tried: tried, cause: errors.New(report.Printable(strings.Join(broken, "; "))), code: "failed_expectations"}
}

// printTestnetReport says in a few lines what the run showed. How long it took
// is told apart: reports of world core leave it out, so as to be equal.
func printTestnetReport(w io.Writer, s *scenario.Scenario, r *report.Report, took time.Duration) {
	// A scenario may come from elsewhere.
	description := strings.Join(strings.Fields(s.Description), " ")
	fmt.Fprintf(w, "%s: %s\n", report.Printable(s.Name), report.Printable(description))
	pairs := []string{"ran", ranText(r, took)}
	add := func(name, text string) { pairs = append(pairs, name, text) }
	if len(r.Settings) > 0 {
		add("settings", report.Printable(strings.Join(r.Settings, ", ")))
	}
	if r.Tx.Published > 0 {
		add("transactions", spread(r.Tx.Spread))
	}
	if r.Block.Published > 0 {
		add("blocks", spread(r.Block.Spread))
	}
	if f := r.FloorMS; f != nil {
		add("floor", fmt.Sprintf("p50 %.1f ms, p99 %.1f ms over the links alone", f.P50, f.P99))
	}
	if c := r.Tx.CopiesPerDelivery; c != nil {
		add("copies", fmt.Sprintf("%.2f of each transaction at a node", *c))
	}
	if b := r.Bytes.WirePerPayload; b != nil {
		add("cost", fmt.Sprintf("%.2f bytes on the wire per byte of transactions and whole blocks delivered", *b))
	}
	if i := r.Bytes.IdlePerNodeS; i != nil {
		add("idle", fmt.Sprintf("%.0f bytes per node and second", *i))
	}
	if h := r.Chain.Heads; h != nil {
		add("heads", fmt.Sprintf("%d at the end", *h))
	}
	if h := r.Heal; h != nil {
		add("healing", healText(h))
	}
	if r.Attack.Attackers > 0 {
		add("attack", attackText(r.Attack))
	}
	add("resources", resourcesText(r.Resources))
	facts(w, pairs...)
	for _, note := range r.Notes {
		fmt.Fprintf(w, "note: %s\n", report.Printable(note))
	}
	if len(s.Expect) > 0 && len(r.FailedExpectations) == 0 {
		text := "The run kept every promise of the scenario"
		if n := r.KnownGaps(); n > 0 {
			text += fmt.Sprintf(", but for %d known gaps", n)
		}
		fmt.Fprintln(w, text+".")
	}
}

func ranText(r *report.Report, took time.Duration) string {
	text := fmt.Sprintf("world %s, relay %s, %d nodes, %d links, seed %d, ", r.World, r.Relay, r.Nodes, r.Links, r.Seed)
	if r.VirtualS == nil {
		return text + fmt.Sprintf("%.1f s", took.Seconds())
	}
	return text + fmt.Sprintf("%.1f s of virtual time in %.1f s", *r.VirtualS, took.Seconds())
}

// healText says how the parts of a network became one.
func healText(h *report.Heal) string {
	if h.EqualS == nil {
		return "the parts of the network did not become equal"
	}
	text := fmt.Sprintf("all equal %.2f s after the partition", *h.EqualS)
	if h.EqualAfterCrossingS != nil {
		text += fmt.Sprintf(", %.2f s after the first connection across", *h.EqualAfterCrossingS)
	}
	if h.WirePerMissing != nil {
		text += fmt.Sprintf(", at %.2f bytes for each that was missing", *h.WirePerMissing)
	}
	return text
}

func attackText(a report.Attack) string {
	text := fmt.Sprintf("%d × %s", a.Attackers, a.Kind)
	if a.HonestMeshRatio != nil {
		text += fmt.Sprintf(", meshes %.0f %% honest after 30 s", *a.HonestMeshRatio*100)
	}
	if a.EvictedRatio != nil {
		text += fmt.Sprintf(", %.0f %% evicted", *a.EvictedRatio*100)
	}
	if a.HonestBanned != nil {
		text += fmt.Sprintf(", %d honest nodes banned", *a.HonestBanned)
	}
	return text
}

func resourcesText(r report.Resources) string {
	var parts []string
	if r.CPUS != nil {
		parts = append(parts, fmt.Sprintf("%.1f s of processor time", *r.CPUS))
	}
	if r.CPUSPerNode != nil {
		parts = append(parts, fmt.Sprintf("%.2f s of it per node", *r.CPUSPerNode))
	}
	if r.CPUSPerDelivery != nil {
		parts = append(parts, fmt.Sprintf("%.0f µs of it per message delivered", *r.CPUSPerDelivery*1e6))
	}
	if r.HeapMBPerNode != nil {
		parts = append(parts, fmt.Sprintf("%.1f MB of memory per node", *r.HeapMBPerNode))
	}
	if len(parts) == 0 {
		return "not measured"
	}
	return strings.Join(parts, ", ")
}
