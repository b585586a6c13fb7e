package netpol

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// apply makes the kernel's filter table hold exactly these rules in the chains of ours, in one step.
func apply(ctx context.Context, rules string, chains map[string]bool) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	now, err := iptables(ctx, "", "iptables", "-w", "5", "-t", "filter", "-S")
	if err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString("*filter\n")
	b.WriteString(rules)
	for _, line := range strings.Split(now, "\n") {
		chain, isNew := strings.CutPrefix(line, "-N ")
		if isNew && strings.HasPrefix(chain, podPrefix) && !chains[chain] {
			fmt.Fprintf(&b, ":%s - [0:0]\n-X %s\n", chain, chain)
		}
	}
	// Ours comes before any other rule of a hook: kube-proxy's accept what it has marked.
	for hook, chain := range map[string]string{"FORWARD": forwardChain, "INPUT": inputChain} {
		jump := hook + " -m comment --comment kube-router -j " + chain
		if at := strings.Index(now, "-A "+hook+" "); at >= 0 && strings.HasPrefix(now[at:], "-A "+jump+"\n") {
			continue
		}
		if strings.Contains(now, "-A "+jump+"\n") {
			b.WriteString("-D " + jump + "\n")
		}
		b.WriteString("-I " + jump + "\n")
	}
	b.WriteString("COMMIT\n")
	_, err = iptables(ctx, b.String(), "iptables-restore", "-w", "5", "--noflush")
	return err
}

func iptables(ctx context.Context, in, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(in)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}
