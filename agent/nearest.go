package agent

import "strings"

// longestGuess is the length in bytes up to which a mistyped word is compared.
const longestGuess = 64

// Nearest returns the known word that a mistyped or shortened one most likely
// means, "" when none is near: more than half of the word would have to change.
func Nearest(word string, known []string) string {
	if len(word) > longestGuess {
		return ""
	}
	best, distance := "", len(word)/2+1
	for _, candidate := range known {
		if d := editDistance(word, candidate); d < distance {
			best, distance = candidate, d
		}
	}
	if best == "" && len(word) > 2 {
		for _, candidate := range known {
			if strings.HasPrefix(candidate, word) {
				return candidate
			}
		}
	}
	return best
}

// editDistance counts the insertions, deletions, replacements and swaps of
// neighbours that make b of a (optimal string alignment, three rows).
func editDistance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
