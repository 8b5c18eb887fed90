package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

// MaxFile bounds a scenario file. Nobody writes one this long by hand.
const MaxFile = 1 << 20

// maxDepth bounds how deep values may be nested; no key of ours needs half.
const maxDepth = 16

// defaults is what a file does not have to say. Settle is long enough for the
// meshes of both relays to form, Drain for a 2 MiB block on 50 Mbit/s lines.
func defaults() *Scenario {
	return &Scenario{
		World:  report.WorldSim,
		Relay:  report.RelayGossip,
		Seed:   1,
		Settle: 20 * time.Second,
		Drain:  15 * time.Second,
	}
}

// Parse reads a scenario. Name is what errors call the file; the scenario is
// called after it, without folders and ending. The error says everything that
// is wrong, each on a line of its own that begins with the name and the line
// in the file; there is no scenario then.
func Parse(name string, text []byte) (*Scenario, error) {
	f := &file{name: name}
	if len(text) > MaxFile {
		return nil, &problem{place{file: name}, fmt.Sprintf("the file has %d bytes, want at most %d", len(text), MaxFile)}
	}
	root, err := tree(f, text)
	if err != nil {
		return nil, err
	}
	f.root = root
	s, wrong := bind(f)
	wrong = append(wrong, s.impossible()...)
	if err := wrong.err(); err != nil {
		return nil, err
	}
	return s, nil
}

// byteOrder are the marks that a text in some Unicode encoding can begin with.
var byteOrder = []string{"\xff\xfe", "\xfe\xff", "\xef\xbb\xbf"}

// tree returns the mapping that a file consists of.
func tree(f *file, text []byte) (*yaml.Node, error) {
	var doc, more yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(text))
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		is := "is empty"
		if slices.ContainsFunc(byteOrder, func(mark string) bool { return bytes.HasPrefix(text, []byte(mark)) }) {
			is = "holds a byte-order mark and nothing else"
		}
		return nil, &problem{place{file: f.name}, "the file " + is + "; it needs at least description, nodes and network"}
	case err != nil:
		return nil, syntaxProblem(f.name, err)
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		if err != nil {
			return nil, syntaxProblem(f.name, err)
		}
		return nil, &problem{place{file: f.name, line: more.Line}, "a second document begins, want one scenario a file"}
	}
	root := doc.Content[0]
	if err := plain(f, root, 0); err != nil {
		return nil, err
	}
	return root, nil
}

// plain refuses what a scenario has no use for: values that stand elsewhere,
// which can make a short file very large, and depth.
func plain(f *file, n *yaml.Node, depth int) error {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return &problem{f.place(n), "anchors and aliases are not understood; write the value out"}
	case depth > maxDepth:
		return &problem{f.place(n), "values are nested too deep"}
	}
	for _, c := range n.Content {
		if err := plain(f, c, depth+1); err != nil {
			return err
		}
	}
	return nil
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// syntaxProblem gives an error of the YAML library the place that ours have.
func syntaxProblem(name string, err error) error {
	p := &problem{place{file: name}, err.Error()}
	if m := yamlLine.FindStringSubmatch(strings.ReplaceAll(err.Error(), "\n", " ")); m != nil {
		p.at.line, _ = strconv.Atoi(m[1]) // zero where no line is known
		p.text = "not YAML: " + m[2]
	}
	return p
}

// bind makes the scenario that the tree of f describes, as far as that goes.
func bind(f *file) (*Scenario, problems) {
	s := defaults()
	s.Name = strings.TrimSuffix(filepath.Base(f.name), filepath.Ext(f.name))
	s.file = f
	f.places, f.unbound = make(map[string]place), make(map[string]bool)
	b := &binder{file: f}
	b.fields("", f.root, reflect.ValueOf(s).Elem())
	for _, path := range b.meant {
		if _, ok := f.places[path]; !ok {
			f.unbound[path] = true
		}
	}
	return s, b.problems
}
