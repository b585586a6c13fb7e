package detect

import "fmt"

// sizeText is bytes for people.
func sizeText(bytes float64) string {
	switch {
	case bytes >= 10*1024*mib || bytes <= -10*1024*mib:
		return fmt.Sprintf("%.1f GiB", bytes/1024/mib)
	case bytes >= 10*mib || bytes <= -10*mib:
		return fmt.Sprintf("%.0f MiB", bytes/mib)
	}
	return fmt.Sprintf("%.1f MiB", bytes/mib)
}

// spanText is seconds for people.
func spanText(seconds int64) string {
	minutes := (seconds + minute/2) / minute
	switch hours := minutes / 60; {
	case hours >= 48:
		return fmt.Sprintf("%d d %d h", hours/24, hours%24)
	case hours > 0:
		return fmt.Sprintf("%d h %d min", hours, minutes%60)
	}
	return fmt.Sprintf("%d min", minutes)
}
