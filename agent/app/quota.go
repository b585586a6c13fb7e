package app

import (
	"fmt"

	"hks.dev/hks/agent"
)

// checkQuota refuses what can never have room: more than the workspace has in
// all, of as many instances as there may come to be. What has no room only now is accepted and waits.
func checkQuota(ws agent.Workspace, spec agent.Spec, scale map[string]agent.Scale) error {
	asked := map[string]float64{}
	for _, c := range spec.Components {
		n := float64(scale[c.Name].Max)
		cpu, memory := quantity(c.CPU, defaultCPU), quantity(c.Memory, defaultMemory)
		asked["cpu"] += cpu.AsApproximateFloat64() * n
		asked["memory"] += memory.AsApproximateFloat64() * n
		asked["pods"] += n
	}
	for _, r := range ws.Resources {
		amount, ok := asked[r.Name]
		if !ok || r.Limit <= 0 || amount <= r.Limit {
			continue
		}
		return &agent.Error{
			Code: agent.CodeQuota,
			Message: fmt.Sprintf("%s asked for %s, the workspace has %s in all (%s used)",
				instances(most(scale)), amountOf(r.Name, amount), amountOf(r.Name, r.Limit), amountOf(r.Name, r.Used)),
			Fix:     "ask for less with --cpu and --memory, or for fewer instances; hks workspace show shows the quota",
			Details: map[string]any{"resource": r.Name, "unit": r.Unit, "asked": amount, "used": r.Used, "limit": r.Limit},
		}
	}
	return nil
}

// amountOf writes an amount of a resource for people.
func amountOf(resource string, amount float64) string {
	switch resource {
	case "cpu":
		return cores(amount)
	case "memory":
		return bytesOf(amount) + " of memory"
	}
	return fmt.Sprintf("%g %s", amount, resource)
}

func cores(amount float64) string {
	if amount == 1 {
		return "1 core"
	}
	return fmt.Sprintf("%.4g cores", amount)
}

func bytesOf(amount float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if amount >= unit.size {
			return fmt.Sprintf("%.4g %s", amount/unit.size, unit.name)
		}
	}
	return fmt.Sprintf("%g bytes", amount)
}

func instances(n int) string {
	if n == 1 {
		return "1 instance"
	}
	return fmt.Sprintf("%d instances", n)
}
