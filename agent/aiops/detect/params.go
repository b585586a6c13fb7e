package detect

// Params are the parameters of all detectors, in one place; each says why.
type Params struct {
	Leak    LeakParams
	OOM     OOMParams
	Volume  VolumeParams
	Latency LatencyParams
	Errors  ErrorParams
}

// Default returns the parameters that the benchmarks in test/bench hold to.
func Default() Params {
	return Params{
		Leak: leakDefaults(), OOM: oomDefaults(), Volume: volumeDefaults(), Latency: latencyDefaults(), Errors: errorDefaults(),
	}
}
