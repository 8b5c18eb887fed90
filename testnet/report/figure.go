package report

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
)

// Figures are the paths of all numbers in a report that conditions can be
// about, in the order of the JSON form.
var Figures = sync.OnceValue(func() []string { return figuresOf("", reflect.TypeFor[Report]()) })

func figuresOf(path string, t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		f := t.Field(i)
		inner := f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		at := path
		if key := keyOf(f); key != "" {
			at = strings.TrimPrefix(path+"."+key, ".")
		}
		switch {
		case inner == reflect.TypeFor[Trace]():
		case inner.Kind() == reflect.Struct:
			names = append(names, figuresOf(at, inner)...)
		case isNumber(reflect.Zero(inner)):
			names = append(names, at)
		}
	}
	return names
}

// keyOf is the JSON key of a field; empty for an embedded struct, whose keys
// stand beside those around it.
func keyOf(f reflect.StructField) string {
	key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return key
}

// Figure returns the number at a path, such as "tx.latency_ms.p99". The error
// is ErrUnmeasured where the run has none.
func (r *Report) Figure(path string) (float64, error) {
	v, ok := figureIn(reflect.ValueOf(r).Elem(), path)
	switch {
	case !ok:
		return 0, fmt.Errorf("no report has a figure %q", path)
	case v.Kind() == reflect.Pointer: // nil, or it had been followed
		return 0, fmt.Errorf("%s is null: %w", path, ErrUnmeasured)
	case v.CanInt():
		return float64(v.Int()), nil
	case v.CanUint():
		return float64(v.Uint()), nil
	case v.CanFloat():
		return v.Float(), nil
	}
	return 0, fmt.Errorf("%s is not a number", path)
}

// figureIn returns what stands at path below v, or the nil pointer that ends
// the way there.
func figureIn(v reflect.Value, path string) (reflect.Value, bool) {
	key, rest, deeper := strings.Cut(path, ".")
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Anonymous {
			if found, ok := figureIn(v.Field(i), path); ok {
				return found, true
			}
			continue
		}
		if keyOf(f) != key {
			continue
		}
		inner := v.Field(i)
		if inner.Kind() == reflect.Pointer {
			if inner.IsNil() {
				return inner, true
			}
			inner = inner.Elem()
		}
		if !deeper {
			return inner, inner.Kind() != reflect.Struct
		}
		if inner.Kind() != reflect.Struct {
			return reflect.Value{}, false
		}
		return figureIn(inner, rest)
	}
	return reflect.Value{}, false
}

func isNumber(v reflect.Value) bool { return v.CanInt() || v.CanUint() || v.CanFloat() }
