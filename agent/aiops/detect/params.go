package detect

// Params are the parameters of all detectors, in one place; each says why.
type Params struct {
	Leak LeakParams
}

// Default returns the parameters that the benchmarks in test/bench hold to.
func Default() Params {
	return Params{
		Leak: leakDefaults(),
	}
}
