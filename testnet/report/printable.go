package report

import (
	"strconv"
	"strings"
	"unicode"
)

// Printable is text without what a terminal obeys instead of showing it, such as
// the beginnings of escape sequences: those stand as Go writes them in a string.
// A report may come from elsewhere.
func Printable(text string) string {
	hidden := func(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsGraphic(r) }
	if !strings.ContainsFunc(text, hidden) {
		return text
	}
	quoted := strconv.QuoteToGraphic(text)
	return quoted[1 : len(quoted)-1]
}
