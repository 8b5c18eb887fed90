// Package nearest guesses which known name was meant by an unknown one.
package nearest

// Name returns the name among known that takes the fewest single-letter
// changes to reach from name, the first of them on a tie, and the empty string
// where known is empty.
func Name(name string, known []string) string {
	best, least := "", -1
	for _, k := range known {
		if d := changes(name, k); least < 0 || d < least {
			best, least = k, d
		}
	}
	return best
}

// changes is the Levenshtein distance of a and b in bytes.
func changes(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next := min(row[j+1]+1, row[j]+1, diagonal+cost)
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}
