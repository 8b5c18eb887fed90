package scenario

import (
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

var durationType = reflect.TypeFor[time.Duration]()

// parse puts a written value into v. How is the part of the field's tag behind
// the comma: share, bytes, ms, cost or nothing. Errors complete "… is "20", ".
func parse(text string, v reflect.Value, how string) error {
	switch {
	case how == "cost" && text == "measured":
		v.SetInt(int64(MeasuredCost))
		return nil
	case v.Type() == durationType:
		d, err := parseDuration(text, how == "ms")
		v.SetInt(int64(d))
		return err
	case how == "bytes":
		n, err := parseBytes(text)
		v.SetInt(n)
		return err
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Int:
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return errors.New("want a whole number")
		}
		v.SetInt(n)
	case reflect.Uint64:
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return errors.New("want a whole number that is not negative")
		}
		v.SetUint(n)
	case reflect.Bool:
		if text != "true" && text != "false" {
			return errors.New("want true or false")
		}
		v.SetBool(text == "true")
	case reflect.Float64:
		x, err := parseNumber(text, how == "share")
		v.SetFloat(x)
		return err
	default:
		panic("scenario: a field of type " + v.Type().String())
	}
	return nil
}

// parseNumber reads a number, and a share also as a percentage.
func parseNumber(text string, share bool) (float64, error) {
	want := errors.New("want a number")
	scale := 1.0
	if share {
		want = errors.New("want a share, such as 0.2 or 20%")
		if cut, ok := strings.CutSuffix(text, "%"); ok {
			text, scale = strings.TrimSpace(cut), 100
		}
	}
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
		return 0, want
	}
	return x / scale, nil
}

// parseDuration reads 20ms, 1.5s, 2m30s, and, where bare numbers are
// milliseconds, 20.
func parseDuration(text string, bare bool) (time.Duration, error) {
	if d, err := time.ParseDuration(strings.ReplaceAll(text, " ", "")); err == nil {
		return d, nil
	}
	x, err := parseNumber(text, false)
	if err != nil {
		return 0, errors.New("want a time with its unit, such as 20ms, 5s or 1m30s")
	}
	if !bare {
		return 0, errors.New("want a unit as well: " + text + "ms or " + text + "s")
	}
	if math.Abs(x) > float64(math.MaxInt64/time.Millisecond) {
		return 0, errors.New("want fewer milliseconds")
	}
	return time.Duration(x * float64(time.Millisecond)), nil
}

// byteUnits from the longest name to the shortest, which ends the longer ones.
var byteUnits = []struct {
	name string
	size int64
}{
	{"KiB", 1 << 10},
	{"MiB", 1 << 20},
	{"kB", 1e3},
	{"MB", 1e6},
	{"B", 1},
	{"", 1},
}

// parseBytes reads 250, 250 B, 128KiB, 1 MiB, 1MB.
func parseBytes(text string) (int64, error) {
	want := errors.New("want a number of bytes, such as 250, 128KiB or 1MiB")
	for _, u := range byteUnits {
		digits, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil {
			return 0, want
		}
		if n > math.MaxInt32/u.size || n < 0 {
			return 0, errors.New("want at most 2 GiB, and not less than nothing")
		}
		return n * u.size, nil
	}
	return 0, want
}
