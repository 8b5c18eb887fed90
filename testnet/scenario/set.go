package scenario

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Set changes one value, given as in a file: "network.dials=8",
// "network.latency.range=[5ms, 20ms]", "attackers.0.count=3". The path of a
// list goes by number, from 0. Of keys that exclude each other, the one set
// takes the place of the others. It works on the file that s was read from, so a
// field changed in code is set back. Where Set fails s is unchanged; whether
// the whole can still be run, Validate says.
func (s *Scenario) Set(setting string) error {
	if s.file == nil {
		return fmt.Errorf("set %s: the scenario was not read from a file", setting)
	}
	path, text, ok := strings.Cut(setting, "=")
	path = strings.TrimSpace(path)
	if !ok || path == "" {
		return fmt.Errorf("--set %s: want KEY=VALUE, such as nodes=50", setting)
	}
	next := &file{name: s.file.name, set: maps.Clone(s.file.set)}
	if next.set == nil {
		next.set = make(map[*yaml.Node]string)
	}
	next.root = next.copyOf(s.file.root, s.file.set)
	value, err := settingValue(text)
	if err != nil {
		return fmt.Errorf("--set %s: %w", setting, err)
	}
	next.mark(value, setting)
	next.dropRivals(path)
	if err := next.put(setting, strings.Split(path, "."), value); err != nil {
		return fmt.Errorf("--set %s: %w", setting, err)
	}
	bound, wrong := bind(next)
	if err := wrong.err(); err != nil {
		return err
	}
	*s = *bound
	return nil
}

func settingValue(text string) (*yaml.Node, error) {
	if strings.TrimSpace(text) == "" {
		return nil, errors.New("there is no value behind =")
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return nil, fmt.Errorf("the value is not YAML: %w", err)
	}
	if doc.Kind != yaml.DocumentNode {
		return nil, errors.New("there is no value behind =")
	}
	if err := plain(&file{name: "the value"}, doc.Content[0], 0); err != nil {
		return nil, err
	}
	return doc.Content[0], nil
}

// copyOf copies a tree, and what is known of its nodes.
func (f *file) copyOf(n *yaml.Node, set map[*yaml.Node]string) *yaml.Node {
	c := *n
	c.Content = make([]*yaml.Node, len(n.Content))
	for i, child := range n.Content {
		c.Content[i] = f.copyOf(child, set)
	}
	if setting, ok := set[n]; ok {
		f.set[&c] = setting
	}
	return &c
}

// mark remembers where the tree n came from.
func (f *file) mark(n *yaml.Node, setting string) {
	f.set[n] = setting
	for _, c := range n.Content {
		f.mark(c, setting)
	}
}

// put makes value the one at path.
func (f *file) put(setting string, path []string, value *yaml.Node) error {
	at := f.root
	for i, key := range path {
		last := i == len(path)-1
		switch at.Kind {
		case yaml.MappingNode:
			slot := pair(at, key)
			if slot < 0 {
				name := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}
				inner := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
				f.set[name], f.set[inner] = setting, setting
				at.Content = append(at.Content, name, inner)
				slot = len(at.Content) - 1
			}
			if last {
				at.Content[slot] = value
			}
			at = at.Content[slot]
		case yaml.SequenceNode:
			n, err := strconv.Atoi(key)
			if err != nil || n < 0 || n >= len(at.Content) {
				return fmt.Errorf("%s has %d items, counted from 0; there is no %q", strings.Join(path[:i], "."), len(at.Content), key)
			}
			if last {
				at.Content[n] = value
			}
			at = at.Content[n]
		default:
			return fmt.Errorf("%s is one value, and has no %q", strings.Join(path[:i], "."), key)
		}
	}
	return nil
}

// rivals are keys of which a scenario has one: whoever sets one means it
// instead of the others.
var rivals = [][]string{
	{"network.latency.range", "network.latency.preset", "network.latency.matrix"},
	{"network.mbps", "network.classes"},
	{"txs.size", "txs.shapes"},
}

// dropRivals takes out the keys that the one at path stands instead of.
func (f *file) dropRivals(path string) {
	for _, keys := range rivals {
		if !slices.Contains(keys, path) {
			continue
		}
		for _, key := range keys {
			if key != path {
				drop(f.root, strings.Split(key, "."))
			}
		}
	}
}

func drop(at *yaml.Node, path []string) {
	if at.Kind != yaml.MappingNode {
		return
	}
	slot := pair(at, path[0])
	switch {
	case slot < 0:
	case len(path) == 1:
		at.Content = slices.Delete(at.Content, slot-1, slot+1)
	default:
		drop(at.Content[slot], path[1:])
	}
}

// pair returns the index of the value of key in a mapping, or -1.
func pair(mapping *yaml.Node, key string) int {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return i + 1
		}
	}
	return -1
}

// Keys are the paths of all keys that a file may have, with 0 for the number
// in a list.
func Keys() []string { return keysOf("", reflect.TypeFor[Scenario]()) }

func keysOf(path string, t reflect.Type) []string {
	fields, names := fieldsOf(t)
	var keys []string
	for _, name := range names {
		inner := t.Field(fields[name].index).Type
		at := under(path, name)
		if inner.Kind() == reflect.Slice && inner.Elem().Kind() == reflect.Struct && inner.Elem() != reflect.TypeFor[Expect]() {
			inner, at = inner.Elem(), at+".0"
		}
		if inner.Kind() == reflect.Struct {
			keys = append(keys, keysOf(at, inner)...)
			continue
		}
		keys = append(keys, at)
	}
	return keys
}
