package detect

// Params are the parameters of all detectors.
type Params struct{}

// Default returns the parameters that the benchmarks in test/bench hold to.
func Default() Params {
	return Params{}
}
