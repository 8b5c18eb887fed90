package page

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// plain is a number as an axis shows it: no more digits than it needs, and
// thousands apart.
func plain(v float64) string {
	if v != math.Trunc(v) {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	return thousands(strconv.FormatFloat(v, 'f', 0, 64))
}

// figure is a number as a reader compares it: three digits at least.
func figure(v float64) string {
	switch a := math.Abs(v); {
	case v == math.Trunc(v) && a < 1e15, a >= 100:
		return thousands(strconv.FormatFloat(v, 'f', 0, 64))
	case a >= 10:
		return trim(strconv.FormatFloat(v, 'f', 1, 64))
	case a >= 1:
		return trim(strconv.FormatFloat(v, 'f', 2, 64))
	default:
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
}

func trim(s string) string { return strings.TrimRight(strings.TrimRight(s, "0"), ".") }

// thousands puts a narrow space between groups of three digits.
func thousands(digits string) string {
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "−", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "\u202f" + digits[i:]
	}
	return sign + digits
}

func percent(share float64) string {
	p := share * 100
	if share < 1 && p > 99.99 {
		return "99.99 %" // never rounded up to all of it
	}
	return trim(strconv.FormatFloat(math.Floor(p*100)/100, 'f', 2, 64)) + " %"
}

// bytesText is a number of bytes in decimal units, as links are measured.
func bytesText(n float64) string {
	units := []string{"B", "kB", "MB", "GB", "TB"}
	i := 0
	for n >= 1000 && i < len(units)-1 {
		n /= 1000
		i++
	}
	return fmt.Sprintf("%s %s", figure(math.Round(n*100)/100), units[i])
}
