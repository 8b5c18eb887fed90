package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// encoding/json drops repeated keys, takes keys in any case and cannot say
// where a value of the wrong type was. A genesis must not depend on which of
// two values a reader keeps, so it is read through this small tree.

// jsonObject is an object with its keys in order; the other JSON values are
// string, json.Number, bool, nil and []any.
type jsonObject struct {
	keys   []string
	values []any
}

const maxJSONDepth = 8 // a genesis has 4

// parseJSON reads one document and nothing after it.
func parseJSON(doc []byte) (any, error) {
	if !utf8.Valid(doc) { // encoding/json would put a replacement there
		return nil, BadText
	}
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	v, err := parseValue(d, 0, "")
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("something follows the document at byte %d: %w", d.InputOffset(), TrailingBytes)
	}
	return v, nil
}

func parseValue(d *json.Decoder, depth int, path string) (any, error) {
	token, err := d.Token()
	if err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fmt.Errorf("the document ends early: %w", Truncated)
		}
		return nil, fmt.Errorf("at byte %d: %w", d.InputOffset(), err)
	}
	delim, ok := token.(json.Delim)
	switch {
	case !ok:
		return token, nil
	case depth >= maxJSONDepth:
		return nil, fmt.Errorf("%s: nested more than %d deep: %w", path, maxJSONDepth, TooMany)
	case delim == '{':
		return parseObject(d, depth+1, path)
	default:
		return parseArray(d, depth+1, path)
	}
}

func parseObject(d *json.Decoder, depth int, path string) (any, error) {
	var o jsonObject
	seen := make(map[string]bool)
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("at byte %d: %w", d.InputOffset(), err)
		}
		key, ok := token.(string)
		if !ok {
			return nil, fmt.Errorf("at byte %d: key is not a string: %w", d.InputOffset(), WrongType)
		}
		at := join(path, key)
		if seen[key] {
			return nil, fmt.Errorf("key %s comes twice: %w", at, NotCanonical)
		}
		seen[key] = true
		v, err := parseValue(d, depth, at)
		if err != nil {
			return nil, err
		}
		o.keys, o.values = append(o.keys, key), append(o.values, v)
	}
	return o, closing(d)
}

func parseArray(d *json.Decoder, depth int, path string) (any, error) {
	list := []any{}
	for d.More() {
		v, err := parseValue(d, depth, fmt.Sprintf("%s[%d]", path, len(list)))
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, closing(d)
}

// closing takes the bracket that ends an object or array.
func closing(d *json.Decoder) error {
	if _, err := d.Token(); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("the document ends early: %w", Truncated)
		}
		return fmt.Errorf("at byte %d: %w", d.InputOffset(), err)
	}
	return nil
}

func join(path, key string) string {
	if path == "" {
		return cut(key)
	}
	return path + "." + cut(key)
}

// A jsonField is a value at a path. Reading one of the wrong type notes a
// fault and gives the zero value, so that one pass finds all faults.
type jsonField struct {
	value   any
	path    string
	missing bool // noted already where the key was asked for
	faults  *faults
}

func (f jsonField) wrong(want string) {
	if !f.missing {
		f.faults.add("%s is not %s: %w", nameOf(f.path), want, WrongType)
	}
}

func nameOf(path string) string {
	if path == "" {
		return "the document"
	}
	return path
}

// object returns a getter for its keys. Keys that are not listed are faults,
// and so is asking for a key that is not there.
func (f jsonField) object(known ...string) func(key string) jsonField {
	o, ok := f.value.(jsonObject)
	if !ok {
		f.wrong("an object")
	}
	for _, key := range o.keys {
		if !slices.Contains(known, key) {
			f.faults.add("key %s is not known (known are %s): %w", join(f.path, key), strings.Join(known, ", "), UnknownField)
		}
	}
	return func(key string) jsonField {
		field := jsonField{path: join(f.path, key), faults: f.faults}
		if i := slices.Index(o.keys, key); i >= 0 {
			field.value = o.values[i]
			return field
		}
		field.missing = true
		if ok {
			f.faults.add("key %s is missing: %w", field.path, Missing)
		}
		return field
	}
}

func (f jsonField) array() []jsonField {
	list, ok := f.value.([]any)
	if !ok {
		f.wrong("an array")
	}
	fields := make([]jsonField, len(list))
	for i, v := range list {
		fields[i] = jsonField{value: v, path: fmt.Sprintf("%s[%d]", f.path, i), faults: f.faults}
	}
	return fields
}

func (f jsonField) text() string {
	s, ok := f.value.(string)
	if !ok {
		f.wrong("a string")
	}
	return s
}

// integer takes a whole number without sign, fraction or exponent.
func (f jsonField) integer(most uint64) uint64 {
	n, ok := f.value.(json.Number)
	if !ok {
		f.wrong("a number")
		return 0
	}
	v, err := strconv.ParseUint(n.String(), 10, 64)
	if err != nil || v > most {
		f.faults.add("%s is %s, want a whole number from 0 to %d: %w", f.path, cut(n.String()), most, WrongType)
		return 0
	}
	return v
}

// decimal takes an amount: a string of digits, without leading zeros.
func (f jsonField) decimal() uint64 {
	s, ok := f.value.(string)
	if !ok {
		f.wrong("a decimal string")
		return 0
	}
	v, err := strconv.ParseUint(s, 10, 64)
	if err != nil || strconv.FormatUint(v, 10) != s {
		f.faults.add("%s is %q, want a whole number below 2^64 as a decimal string: %w", f.path, cut(s), WrongType)
		return 0
	}
	return v
}

func (f jsonField) address(prefix string) Address {
	s, ok := f.value.(string)
	if !ok {
		f.wrong("an address")
		return Address{}
	}
	a, err := ParseAddress(prefix, s)
	if err != nil {
		f.faults.add("%s: %w", f.path, err)
	}
	return a
}
