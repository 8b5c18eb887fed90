package attack

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

// params are what a scenario says about an attacker. Each is asked for once;
// what nobody asked for is an error.
type params struct {
	left  map[string]string
	asked []Param
	errs  []error
}

// Param is one thing that a scenario can say about an attacker of some kind.
type Param struct {
	Name  string `json:"name"`
	Means string `json:"means"`
	Takes string `json:"takes"` // what it may be, and what it is unless said
}

func newParams(said map[string]string) *params { return &params{left: maps.Clone(said)} }

// number is a whole number between least and most.
func (p *params) number(name, means string, otherwise, least, most int) int {
	p.asked = append(p.asked, Param{name, means, fmt.Sprintf("%d to %d; %d unless said", least, most, otherwise)})
	text, ok := p.take(name)
	if !ok {
		return otherwise
	}
	v, err := strconv.Atoi(text)
	if err != nil || v < least || v > most {
		p.errs = append(p.errs, fmt.Errorf("params.%s is %q, want %d to %d", name, text, least, most))
	}
	return v
}

// word is one of several; the first is meant where nothing is said.
func (p *params) word(name, means string, known ...string) string {
	p.asked = append(p.asked, Param{name, means, fmt.Sprintf("%s; %s unless said", strings.Join(known, ", "), known[0])})
	text, ok := p.take(name)
	if !ok {
		return known[0]
	}
	if !slices.Contains(known, text) {
		p.errs = append(p.errs, fmt.Errorf("params.%s is %q, want one of %s", name, text, strings.Join(known, ", ")))
	}
	return text
}

func (p *params) take(name string) (string, bool) {
	text, ok := p.left[name]
	delete(p.left, name)
	return text, ok
}

// err says all that is wrong, once the attacker has asked for what it knows.
func (p *params) err() error {
	for _, name := range slices.Sorted(maps.Keys(p.left)) {
		p.errs = append(p.errs, fmt.Errorf("params.%s is unknown", report.Printable(name)))
	}
	return errors.Join(p.errs...)
}
