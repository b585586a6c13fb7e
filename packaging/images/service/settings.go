package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// settings are what the chart tells by environment variables.
type settings struct {
	data     string // HKS_DATA: folder of the volume
	run      string // HKS_RUN: folder of sockets, gone at the next start
	database string // HKS_DATABASE
	user     string // HKS_USER: the first user
	password string // HKS_PASSWORD_FILE: file with the first user's password
	memory   int64  // HKS_MEMORY: bytes the container may take
}

func settingsOf(getenv func(string) string) (settings, error) {
	s := settings{
		data: getenv("HKS_DATA"), run: getenv("HKS_RUN"), database: getenv("HKS_DATABASE"),
		user: getenv("HKS_USER"), password: getenv("HKS_PASSWORD_FILE"),
	}
	for name, value := range map[string]string{"HKS_DATA": s.data, "HKS_RUN": s.run} {
		if value == "" {
			return settings{}, fmt.Errorf("%s is not set", name)
		}
	}
	for name, value := range map[string]string{"HKS_DATABASE": s.database, "HKS_USER": s.user} {
		if !nameGrammar.MatchString(value) {
			return settings{}, fmt.Errorf("%s: %q is not a name of small letters, digits and underscores", name, value)
		}
	}
	if text := getenv("HKS_MEMORY"); text != "" {
		var err error
		if s.memory, err = strconv.ParseInt(text, 10, 64); err != nil {
			return settings{}, fmt.Errorf("HKS_MEMORY: %w", err)
		}
	}
	return s, nil
}

// firstPassword reads the first user's password.
func (s settings) firstPassword() (string, error) {
	text, err := os.ReadFile(s.password)
	if err != nil {
		return "", fmt.Errorf("reading the first user's password: %w", err)
	}
	password := strings.TrimSpace(string(text))
	if !passwordGrammar.MatchString(password) {
		return "", fmt.Errorf("the password in %s is not 16 to 128 letters and digits", s.password)
	}
	return password, nil
}

// megabytes is a share of the container's memory in MiB, within bounds.
func (s settings) megabytes(share float64, least, most int64) int64 {
	return min(max(int64(float64(s.memory)*share)>>20, least), most)
}
