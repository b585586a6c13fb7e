package cli

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"hks.dev/hks/agent"
)

// ago says how long before now t was.
func ago(now, t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	d := now.Sub(t)
	switch {
	case d < 2*time.Second: // also a clock that is a little ahead
		return "just now"
	case d < 60*24*time.Hour:
		return span(d) + " ago"
	}
	return t.Local().Format(time.DateOnly)
}

// span is a duration in one unit.
func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + "s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + "m"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + "h"
	}
	return strconv.Itoa(int(d.Hours()/24)) + "d"
}

// bytesText is a size in the binary unit that suits it.
func bytesText(n int64) string {
	size, unit := float64(n), "B"
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if math.Abs(size) < 1024 {
			break
		}
		size, unit = size/1024, next
	}
	if size >= 100 || unit == "B" {
		return fmt.Sprintf("%.0f %s", size, unit)
	}
	return trimZeros(fmt.Sprintf("%.1f", size)) + " " + unit
}

// coresText is an amount of CPU in cores.
func coresText(cores float64) string { return trimZeros(fmt.Sprintf("%.3f", cores)) }

func trimZeros(s string) string { return strings.TrimSuffix(strings.TrimRight(s, "0"), ".") }

// amountText is a value of a resource in its unit.
func amountText(value float64, unit string) string {
	switch unit {
	case "bytes":
		return bytesText(int64(value))
	case "cores":
		return coresText(value)
	}
	return strconv.FormatFloat(value, 'f', -1, 64)
}

// cpuText and memoryText say how much is used, of how much.
func cpuText(u agent.Usage) string {
	if u.SampledAt.IsZero() {
		return "-"
	}
	if u.CPULimit > 0 {
		return coresText(u.CPU) + " / " + coresText(u.CPULimit)
	}
	return coresText(u.CPU)
}

func memoryText(u agent.Usage) string {
	if u.SampledAt.IsZero() {
		return "-"
	}
	if u.MemoryLimit > 0 {
		return bytesText(u.Memory) + " / " + bytesText(u.MemoryLimit)
	}
	return bytesText(u.Memory)
}

// bar draws a share of width cells, red when it is nearly full.
func bar(s style, used, limit float64, width int) string {
	share := 0.0
	if limit > 0 {
		share = min(max(used/limit, 0), 1)
	}
	full := int(math.Round(share * float64(width)))
	if used > 0 && full == 0 {
		full = 1
	}
	paint := s.green
	switch {
	case share >= 0.9:
		paint = s.red
	case share >= 0.7:
		paint = s.yellow
	}
	return paint(strings.Repeat("█", full)) + s.dim(strings.Repeat("░", width-full))
}

// spark draws a series as a line of blocks, at most width wide.
func spark(values []float64, width int) string {
	blocks := []rune("▁▂▃▄▅▆▇█")
	if len(values) == 0 {
		return ""
	}
	width = min(width, len(values))
	line := make([]rune, width)
	peak := 0.0
	for _, v := range values {
		peak = max(peak, v)
	}
	for i := range line {
		top := 0.0 // of the values that share this cell
		for _, v := range values[i*len(values)/width : (i+1)*len(values)/width] {
			top = max(top, v)
		}
		line[i] = blocks[0]
		if peak > 0 {
			line[i] = blocks[int(top/peak*float64(len(blocks)-1))]
		}
	}
	return string(line)
}

// shortDigest is enough of a digest to tell it from others.
func shortDigest(digest string) string {
	algorithm, value, ok := strings.Cut(digest, ":")
	if !ok || len(value) <= 12 {
		return digest
	}
	return algorithm + ":" + value[:12]
}

// firstLine is the beginning of a text that may have more lines.
func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + one + "s"
}
