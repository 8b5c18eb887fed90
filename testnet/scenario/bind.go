package scenario

import (
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/grapevine-p2p/grapevine/internal/nearest"
)

// binder puts the values of a YAML tree into a Scenario and collects what it
// cannot take. It goes on after a problem, so that all are told at once.
type binder struct {
	file     *file
	problems problems
	meant    []string // paths that the writers of unknown keys may have meant
}

// binding is a value that reads its own form of YAML.
type binding interface {
	bind(b *binder, path string, n *yaml.Node)
}

// fail refuses the value at path.
func (b *binder) fail(n *yaml.Node, path, format string, args ...any) {
	b.file.unbound[path] = true
	b.problems.add(b.file.place(n), "%s %s", name(path), fmt.Sprintf(format, args...))
}

// value puts n into v. How says how its numbers are written: the part of a
// field's tag behind the comma.
func (b *binder) value(path string, n *yaml.Node, v reflect.Value, how string) {
	b.file.places[path] = b.file.place(n)
	if own, ok := v.Addr().Interface().(binding); ok {
		own.bind(b, path, n)
		return
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		b.fail(n, path, "has no value; leave the key out, or give it one")
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		b.fields(path, n, v)
	case reflect.Slice, reflect.Array:
		b.list(path, n, v, how)
	case reflect.Map:
		b.params(path, n, v)
	default:
		b.scalar(path, n, v, how)
	}
}

// fields binds a mapping to a struct.
func (b *binder) fields(path string, n *yaml.Node, v reflect.Value) {
	fields, keys := fieldsOf(v.Type())
	b.each(path, n, func(key, value *yaml.Node, at string) {
		f, ok := fields[key.Value]
		if !ok {
			known := resembling(path, key.Value, keys)
			b.meant = append(b.meant, known)
			b.problems.add(b.file.place(key), "unknown key %s; the nearest known one is %s", at, known)
			return
		}
		b.value(at, value, v.Field(f.index), f.how)
	})
}

// each calls do for every pair of the mapping n, each key once.
func (b *binder) each(path string, n *yaml.Node, do func(key, value *yaml.Node, at string)) {
	if n.Kind != yaml.MappingNode {
		b.fail(n, path, "is %s, want keys and values", describe(n))
		return
	}
	lines := make(map[string]int)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		at := under(path, key.Value)
		if key.Kind != yaml.ScalarNode {
			b.problems.add(b.file.place(key), "%s has %s for a key", name(path), describe(key))
			continue
		}
		if first, ok := lines[key.Value]; ok {
			b.problems.add(b.file.place(key), "%s is there twice, first on line %d", at, first)
			continue
		}
		lines[key.Value] = key.Line
		do(key, n.Content[i+1], at)
	}
}

func (b *binder) list(path string, n *yaml.Node, v reflect.Value, how string) {
	if n.Kind != yaml.SequenceNode {
		b.fail(n, path, "is %s, want a list", describe(n))
		return
	}
	if v.Kind() == reflect.Array {
		if len(n.Content) != v.Len() {
			b.fail(n, path, "has %d values, want %d", len(n.Content), v.Len())
			return
		}
	} else {
		v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	}
	for i, item := range n.Content {
		b.value(under(path, fmt.Sprint(i)), item, v.Index(i), how)
	}
}

// params binds a mapping whose keys only their reader knows.
func (b *binder) params(path string, n *yaml.Node, v reflect.Value) {
	v.Set(reflect.MakeMap(v.Type()))
	b.each(path, n, func(key, value *yaml.Node, at string) {
		if value.Kind != yaml.ScalarNode {
			b.fail(value, at, "is %s, want one value", describe(value))
			return
		}
		b.file.places[at] = b.file.place(value)
		v.SetMapIndex(reflect.ValueOf(key.Value), reflect.ValueOf(value.Value))
	})
}

func (b *binder) scalar(path string, n *yaml.Node, v reflect.Value, how string) {
	if n.Kind != yaml.ScalarNode {
		b.fail(n, path, "is %s, want one value", describe(n))
		return
	}
	if err := parse(n.Value, v, how); err != nil {
		b.fail(n, path, "is %q, %v", n.Value, err)
	}
}

// resembling is the key that the writer of an unknown one may have meant: the
// same name at another place, or else a name like it among the keys here.
func resembling(path, key string, keys []string) string {
	for _, known := range Keys() {
		if strings.HasSuffix(known, "."+key) || strings.Contains(known, "."+key+".") || strings.HasPrefix(known, key+".") {
			return known[:strings.Index(known+".", key+".")+len(key)]
		}
	}
	return under(path, nearest.Name(key, keys))
}

// field is how one key is bound.
type field struct {
	index int
	how   string
}

// fieldsOf returns the keys of a struct, also as a list in the order of the
// fields.
func fieldsOf(t reflect.Type) (map[string]field, []string) {
	fields := make(map[string]field)
	var keys []string
	for i := range t.NumField() {
		key, how, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if key == "" || key == "-" {
			continue
		}
		fields[key] = field{i, how}
		keys = append(keys, key)
	}
	return fields, keys
}

// under is the path of a key below path.
func under(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func name(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}

// describe names the kind of n as a writer of YAML knows it.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	default:
		return fmt.Sprintf("%q", n.Value)
	}
}
