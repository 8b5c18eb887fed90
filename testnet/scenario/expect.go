package scenario

import (
	"go.yaml.in/yaml/v3"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

// bind implements binding.
func (e *Expect) bind(b *binder, path string, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		e.condition(b, path, n)
		return
	}
	b.each(path, n, func(key, value *yaml.Node, at string) {
		switch {
		case key.Value == "condition":
			e.condition(b, at, value)
		case key.Value != "known_gap":
			b.meant = append(b.meant, under(path, "condition"))
			b.problems.add(b.file.place(key), "unknown key %s; want condition and known_gap", at)
		case value.Kind != yaml.ScalarNode || value.Value == "":
			b.fail(value, at, "is %s, want the reason why the condition does not hold yet", describe(value))
		default:
			e.KnownGap = value.Value
		}
	})
}

func (e *Expect) condition(b *binder, path string, n *yaml.Node) {
	if n.Kind != yaml.ScalarNode {
		b.fail(n, path, "is %s, want a condition such as tx.delivery_ratio == 1", describe(n))
		return
	}
	c, err := report.ParseCondition(n.Value)
	if err != nil {
		b.fail(n, path, "is wrong: %v", err)
		return
	}
	e.Condition = c
}
