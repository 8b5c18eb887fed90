package core

import (
	"fmt"
	"math"
	"slices"

	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/testnet/scenario"
)

// roles says what each node of a run is.
type roles struct {
	role      []string             // by node: a role of package report, or the kind of an attacker
	attacker  []*scenario.Attacker // by node: nil for those that are none
	producers []int                // nodes, in the order of their turns
	origins   []int                // nodes that send transactions
	victim    int                  // the first of them, for attackers that aim at one
}

// aimed are the links that attackers open beside those that all nodes dial.
func (r *roles) aimed() [][2]int {
	var links [][2]int
	for node, a := range r.attacker {
		if a != nil && aims(a.Kind) {
			links = append(links, [2]int{node, r.victim})
		}
	}
	return links
}

func (r *roles) honest(node int) bool {
	return r.role[node] == report.RoleHonest || r.role[node] == report.RoleProducer
}

// deal draws who is what.
func deal(s *scenario.Scenario) (*roles, error) {
	r := &roles{role: make([]string, s.Nodes), attacker: make([]*scenario.Attacker, s.Nodes)}
	order := stream(s.Seed, forRoles, 0).Perm(s.Nodes)
	take := func(n int) []int {
		taken := order[:n]
		order = order[n:]
		return taken
	}
	var forgers []int // attackers that produce blocks
	for i := range s.Attackers {
		a := &s.Attackers[i]
		if !slices.Contains(Attacks(), a.Kind) {
			return nil, fmt.Errorf("attackers.%d.kind is %q, and world core has %q only", i, a.Kind, Attacks())
		}
		for _, node := range take(a.Number(s.Nodes)) {
			r.role[node], r.attacker[node] = a.Kind, a
			if a.Kind == equivocation {
				forgers = append(forgers, node)
			}
		}
	}
	for _, node := range take(int(math.Round(s.Silent * float64(s.Nodes)))) {
		r.role[node], r.attacker[node] = report.RoleSilent, &scenario.Attacker{Kind: report.RoleSilent}
	}
	producers := s.Blocks.Producers
	if producers == 0 && s.Blocks.Count > 0 {
		producers = 1
	}
	if len(forgers) > producers {
		return nil, fmt.Errorf("%d attackers are of kind %s, and blocks.producers is %d", len(forgers), equivocation, producers)
	}
	producers -= len(forgers)
	if producers > len(order) {
		return nil, fmt.Errorf("blocks.producers is %d, and there are %d honest nodes", s.Blocks.Producers, len(order))
	}
	for _, node := range order {
		r.role[node] = report.RoleHonest
	}
	r.origins = slices.Clone(order)
	if s.Txs.Origins > 0 {
		r.origins = r.origins[:s.Txs.Origins]
	}
	if len(r.origins) > 0 {
		r.victim = r.origins[0]
	}
	honest := order[len(order)-producers:]
	for _, node := range honest {
		r.role[node] = report.RoleProducer
	}
	r.producers = slices.Concat(forgers, honest)
	return r, nil
}
