package nab

import (
	"hks.dev/hks/agent/aiops/detect"
)

// Detect returns when the product's detector fires on a series.
func (s Series) Detect(p detect.Params) []int64 {
	e := detect.New(p)
	var found []int64
	for i, t := range s.T {
		e.Point(detect.Point{T: t, Series: s.Name, Value: s.V[i]})
		for _, a := range e.Advance(t + 300) {
			if a.State == detect.Firing {
				found = append(found, a.T)
			}
		}
	}
	return found
}
