package cli

import (
	"io"
	"strings"
	"unicode/utf8"
)

// table lines up columns; cells may hold colours.
type table struct {
	header []string
	rows   [][]string
}

func newTable(header ...string) *table { return &table{header: header} }

func (t *table) row(cells ...string) {
	for i, cell := range cells {
		cells[i] = strings.ReplaceAll(clean(cell), "\n", " ")
	}
	t.rows = append(t.rows, cells)
}

// write puts the table out. Columns are two spaces apart; the last is not padded.
func (t *table) write(w io.Writer, s style) error {
	widths := make([]int, len(t.header))
	for _, row := range append([][]string{t.header}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], cellWidth(cell))
		}
	}
	var b strings.Builder
	line := func(cells []string, paint func(string) string) {
		for len(cells) > 0 && cells[len(cells)-1] == "" {
			cells = cells[:len(cells)-1] // no space at the end of a line
		}
		for i, cell := range cells {
			text := cell
			if !s.on {
				text = stripSGR(cell)
			}
			b.WriteString(paint(text))
			if i < len(cells)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-cellWidth(cell)+2))
			}
		}
		b.WriteByte('\n')
	}
	line(t.header, s.dim)
	for _, row := range t.rows {
		line(row, func(text string) string { return text })
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func cellWidth(cell string) int { return utf8.RuneCountInString(stripSGR(cell)) }

// facts shows one thing: a name and a value a line.
type facts struct{ rows [][2]string }

func (f *facts) add(name, value string) {
	if value != "" {
		f.rows = append(f.rows, [2]string{name, clean(value)})
	}
}

func (f *facts) write(w io.Writer, s style) error {
	width := 0
	for _, row := range f.rows {
		width = max(width, len(row[0]))
	}
	var b strings.Builder
	for _, row := range f.rows {
		name := row[0] + strings.Repeat(" ", width-len(row[0])+2)
		b.WriteString(s.dim(name))
		b.WriteString(strings.ReplaceAll(row[1], "\n", "\n"+strings.Repeat(" ", width+2)))
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}
