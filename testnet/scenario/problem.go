package scenario

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

// place is where a value was written: a line of a file, or a setting.
type place struct {
	file    string
	line    int    // zero is the file as a whole
	setting string // of --set, instead of file and line
}

func (p place) String() string {
	switch {
	case p.setting != "":
		return "--set " + p.setting
	case p.line == 0:
		return p.file
	default:
		return fmt.Sprintf("%s:%d", p.file, p.line)
	}
}

// problem is one thing wrong with a scenario.
type problem struct {
	at   place
	text string
}

// Error is for terminals: keys and values of a file that somebody else wrote
// are not obeyed there.
func (p *problem) Error() string { return report.Printable(p.at.String() + ": " + p.text) }

// problems collects them, to be told all at once in the order of lines.
type problems []*problem

func (ps *problems) add(at place, format string, args ...any) {
	*ps = append(*ps, &problem{at, fmt.Sprintf(format, args...)})
}

// err is nil without problems.
func (ps problems) err() error {
	sorted := slices.Clone(ps)
	slices.SortStableFunc(sorted, func(a, b *problem) int { return cmp.Compare(a.at.line, b.at.line) })
	errs := make([]error, len(sorted))
	for i, p := range sorted {
		errs[i] = p
	}
	return errors.Join(errs...)
}

// file remembers what a scenario was read from.
type file struct {
	name   string
	root   *yaml.Node            // the mapping at the top
	set    map[*yaml.Node]string // nodes that a setting put there, with the setting
	places map[string]place      // by path: "network.dials", "churn.0.from"

	unbound map[string]bool // paths whose values could not be taken, so that nothing follows from them
}

func (f *file) place(n *yaml.Node) place {
	if setting, ok := f.set[n]; ok {
		return place{file: f.name, setting: setting}
	}
	return place{file: f.name, line: n.Line}
}

// at is where the value at path was written, or what was to hold it.
func (f *file) at(path string) place {
	if f == nil {
		return place{file: "scenario"}
	}
	for {
		if at, ok := f.places[path]; ok {
			return at
		}
		cut := strings.LastIndexByte(path, '.')
		if cut < 0 {
			return place{file: f.name}
		}
		path = path[:cut]
	}
}

// misses says whether the value at path, or what was to hold it, was not
// understood.
func (f *file) misses(path string) bool {
	if f == nil {
		return false
	}
	for unbound := range f.unbound {
		if within(path, unbound) {
			return true
		}
	}
	return false
}

// within says whether path is that of outer, or below it.
func within(path, outer string) bool {
	return outer == "" || path == outer || strings.HasPrefix(path, outer+".")
}

// At says where the value at path, such as network.loss, was written: as
// FILE:LINE, or as the setting that made it. It is for worlds, which know
// what they cannot do.
func (s *Scenario) At(path string) string { return report.Printable(s.file.at(path).String()) }
