package manifest

import (
	"strconv"
	"strings"
)

// quantityKind is the closed part of Kubernetes's quantities that makes sense
// for one resource: the grammar, the bounds and the units, as factors to the
// smallest unit that is compared.
type quantityKind struct {
	grammar     pattern
	units       map[string]float64
	least, most float64
	bounds      string
	example     string
}

var (
	cpu = quantityKind{
		grammar: lazily(`^([0-9]{1,6}(?:\.[0-9]{1,3})?)(m?)$`),
		units:   map[string]float64{"": 1000, "m": 1},
		least:   10, most: 128_000, bounds: "10m and 128",
		example: "cores, such as 500m or 2",
	}
	memory = quantityKind{
		grammar: lazily(`^([0-9]{1,15}(?:\.[0-9]{1,3})?)([KMGT]i|[kMGT]?)$`),
		units: map[string]float64{
			"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
			"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40,
		},
		least: 16 << 20, most: 1 << 40, bounds: "16Mi and 1Ti",
		example: "bytes, such as 256Mi or 2Gi",
	}
)

// storage is the size of a volume.
var storage = quantityKind{
	grammar: memory.grammar,
	units:   memory.units,
	least:   16 << 20, most: 1 << 44, bounds: "16Mi and 16Ti",
	example: "bytes, such as 500Mi or 2Gi",
}

// quantity checks a limit against the least that can work and the most that
// makes sense on one machine.
func (r *reader) quantity(p *plain, kind quantityKind) {
	if p == nil || !p.ok {
		return
	}
	m := kind.grammar().FindStringSubmatch(p.value)
	if m == nil || m[2] == "m" && strings.Contains(m[1], ".") {
		r.add(p.place, "give "+kind.example, "%q is not an amount", shown(p.value))
		return
	}
	amount, err := strconv.ParseFloat(m[1], 64)
	if amount *= kind.units[m[2]]; err != nil || amount < kind.least || amount > kind.most {
		r.add(p.place, "give "+kind.example, "%s is not between %s", p.value, kind.bounds)
	}
}
