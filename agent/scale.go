package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Bounds of Scale.CPU, and what it is when nobody says.
const (
	ScaleCPU     = 70
	MinScaleCPU  = 10
	MostScaleCPU = 100
)

// Scale is how many instances of a component there are to be: a fixed number,
// or as many as its load needs within bounds. In JSON a fixed number is the
// number alone.
type Scale struct {
	Min int // at least; of a fixed number the same as Max
	Max int // at most
	CPU int // percent of its CPU limit that an instance is to take on average; 0: the number is fixed
}

// Fixed is a number of instances that load does not change.
func Fixed(n int) Scale { return Scale{Min: n, Max: n} }

// Auto tells whether the number follows the load.
func (s Scale) Auto() bool { return s.CPU > 0 }

// Within returns the number nearest to n that the scale allows.
func (s Scale) Within(n int) int { return min(max(n, s.Min), s.Max) }

// String is the scale in plain words.
func (s Scale) String() string {
	switch {
	case s.Auto():
		return fmt.Sprintf("%d to %d instances at %d %% CPU", s.Min, s.Max, s.CPU)
	case s.Max == 1:
		return "1 instance"
	}
	return fmt.Sprintf("%d instances", s.Max)
}

// Validate checks the scale against the bounds that hold everywhere; the plan
// may be narrower.
func (s Scale) Validate() error {
	switch {
	case s.Min < 1:
		return invalid("replicas", s.Min, fmt.Sprintf("%d instances can't be asked for", s.Min), "give 1 or more; hks app stop takes all instances away")
	case s.Auto() && s.Max <= s.Min:
		return invalid("max", s.Max, fmt.Sprintf("from %d to %d instances there is nothing to scale", s.Min, s.Max), "give a max above min, or a fixed number")
	case s.Auto() && (s.CPU < MinScaleCPU || s.CPU > MostScaleCPU):
		return invalid("cpu", s.CPU, fmt.Sprintf("%d %% of the CPU limit can't be aimed at", s.CPU), fmt.Sprintf("give a percentage from %d to %d, such as %d", MinScaleCPU, MostScaleCPU, ScaleCPU))
	}
	return nil
}

type scaleBounds struct {
	Min int `json:"min"`
	Max int `json:"max"`
	CPU int `json:"cpu"`
}

// MarshalJSON writes a number, or {"min", "max", "cpu"}.
func (s Scale) MarshalJSON() ([]byte, error) {
	if s.Auto() {
		return json.Marshal(scaleBounds(s))
	}
	return json.Marshal(s.Max)
}

// UnmarshalJSON reads what MarshalJSON writes; min left out is 1, cpu left out
// ScaleCPU.
func (s *Scale) UnmarshalJSON(data []byte) error {
	if !bytes.HasPrefix(data, []byte("{")) {
		var n *int
		if err := json.Unmarshal(data, &n); err != nil || n == nil {
			return errors.New(`replicas are a whole number, or {"min": 1, "max": 4, "cpu": 70}`)
		}
		*s = Fixed(*n)
		return nil
	}
	read := json.NewDecoder(bytes.NewReader(data))
	read.DisallowUnknownFields()
	bounds := scaleBounds{Min: 1, CPU: ScaleCPU}
	if err := read.Decode(&bounds); err != nil {
		return fmt.Errorf("reading replicas: %w", err)
	}
	if bounds.CPU <= 0 || bounds.Max == 0 {
		return errors.New(`replicas that follow the load need a max and a cpu above 0, such as {"min": 1, "max": 4, "cpu": 70}`)
	}
	*s = Scale(bounds)
	return nil
}
