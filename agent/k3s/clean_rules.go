package k3s

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// toolLimit bounds one run of a packet filter's tool.
const toolLimit = 30 * time.Second

// filters are the two families and the two kinds of iptables; a machine may
// have rules in each.
var filters = []string{"iptables-nft", "iptables-legacy", "iptables", "ip6tables-nft", "ip6tables-legacy", "ip6tables"}

// removeRules removes k3s's chains and the rules that lead to them, one table
// at a time and each at once. Rules of others are neither written nor moved.
func (c *Cleaner) removeRules(ctx context.Context) error {
	var failed []error
	for _, filter := range filters {
		saved, ok := c.savedRules(ctx, filter)
		if !ok {
			continue
		}
		commands := undoRules(saved)
		if commands == "" {
			continue
		}
		restore := c.tool(filter + "-restore")
		if _, err := c.runTool(ctx, commands, restore, "--noflush", "--wait=10"); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", filter, err))
		}
	}
	return errors.Join(failed...)
}

func (c *Cleaner) leftRules(ctx context.Context) ([]string, error) {
	var left []string
	for _, filter := range filters {
		saved, ok := c.savedRules(ctx, filter)
		if !ok {
			continue
		}
		for line := range strings.Lines(undoRules(saved)) {
			if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "-X "); ok {
				left = append(left, filter+" chain "+rest)
			} else if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "-D "); ok {
				left = append(left, filter+" rule "+rest)
			}
		}
	}
	return left, nil
}

// savedRules returns false for a kind of iptables that is not here: no tool,
// or no support in the kernel.
func (c *Cleaner) savedRules(ctx context.Context, filter string) (string, bool) {
	save := c.tool(filter + "-save")
	if save == "" || c.tool(filter+"-restore") == "" {
		return "", false
	}
	out, err := c.runTool(ctx, "", save)
	if err != nil {
		c.cfg.Logger.Debug("no rules of this kind", "filter", filter, "error", err)
		return "", false
	}
	return out, true
}

// undoRules turns the output of iptables-save into the input of
// iptables-restore --noflush that removes k3s's chains and the rules that
// lead to them; "" when there are none.
func undoRules(saved string) string {
	var out, deletes, flushes, removes strings.Builder
	table := ""
	for line := range strings.Lines(saved) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "*"):
			table = line
		case strings.HasPrefix(line, ":"):
			if chain, _, _ := strings.Cut(line[1:], " "); ownChain(chain) {
				flushes.WriteString("-F " + chain + "\n")
				removes.WriteString("-X " + chain + "\n")
			}
		case strings.HasPrefix(line, "-A "):
			words := splitRule(line)
			if len(words) > 1 && !ownChain(words[1]) && ownRule(words[2:]) {
				deletes.WriteString("-D " + line[len("-A "):] + "\n")
			}
		case line == "COMMIT":
			if deletes.Len()+removes.Len() > 0 {
				out.WriteString(table + "\n" + deletes.String() + flushes.String() + removes.String() + "COMMIT\n")
			}
			deletes.Reset()
			flushes.Reset()
			removes.Reset()
		}
	}
	return out.String()
}

// ownChain knows the chains of kube-proxy, kube-router, the CNI plugins and
// flannel.
func ownChain(chain string) bool {
	for _, prefix := range []string{"KUBE-", "CNI-", "FLANNEL-"} {
		if strings.HasPrefix(chain, prefix) {
			return true
		}
	}
	return false
}

// ownRule tells whether a rule in a foreign chain leads to one of k3s's
// chains, or is said to be k3s's.
func ownRule(words []string) bool {
	for i := 0; i+1 < len(words); i++ {
		value := words[i+1]
		switch words[i] {
		case "-j", "--jump", "-g", "--goto":
			if ownChain(value) {
				return true
			}
		case "--comment":
			for _, prefix := range []string{"flanneld ", "kube-router ", "KUBE-ROUTER "} {
				if strings.HasPrefix(value, prefix) {
					return true
				}
			}
			i++ // what a comment says is no option
		}
	}
	return false
}

// splitRule splits a line of iptables-save into words; one in double quotes
// may hold spaces, and escapes a quote by a backslash.
func splitRule(line string) []string {
	var words []string
	var word strings.Builder
	quoted, any := false, false
	for i := 0; i < len(line); i++ {
		switch b := line[i]; {
		case b == '\\' && quoted && i+1 < len(line):
			i++
			word.WriteByte(line[i])
		case b == '"':
			quoted, any = !quoted, true
		case b == ' ' && !quoted:
			if any {
				words = append(words, word.String())
			}
			word.Reset()
			any = false
		default:
			word.WriteByte(b)
			any = true
		}
	}
	if any {
		words = append(words, word.String())
	}
	return words
}

// removeSets removes kube-router's and kube-proxy's sets of addresses.
func (c *Cleaner) removeSets(ctx context.Context) error {
	sets, err := c.ownSets(ctx)
	failed := []error{err}
	for _, set := range sets {
		_, err := c.runTool(ctx, "", c.tool("ipset"), "destroy", set)
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

func (c *Cleaner) leftSets(ctx context.Context) ([]string, error) {
	sets, err := c.ownSets(ctx)
	var left []string
	for _, set := range sets {
		left = append(left, "set of addresses "+set)
	}
	return left, err
}

func (c *Cleaner) ownSets(ctx context.Context) ([]string, error) {
	tool := c.tool("ipset")
	if tool == "" {
		return nil, nil
	}
	out, err := c.runTool(ctx, "", tool, "list", "-name")
	if err != nil {
		c.cfg.Logger.Debug("no sets of addresses", "error", err)
		return nil, nil // no support in the kernel, so none exist
	}
	var own []string
	for line := range strings.Lines(out) {
		name := strings.TrimSpace(line)
		bare := strings.TrimPrefix(name, "inet6:")
		if strings.HasPrefix(bare, "KUBE-") || strings.HasPrefix(bare, "kube-router-") {
			own = append(own, name)
		}
	}
	return own, nil
}

// removeTables removes the nftables tables of kube-proxy, kube-router, flannel
// and the CNI plugins.
func (c *Cleaner) removeTables(ctx context.Context) error {
	tables, err := c.ownTables(ctx)
	failed := []error{err}
	for _, table := range tables {
		family, name, _ := strings.Cut(table, " ")
		_, err := c.runTool(ctx, "", c.tool("nft"), "delete", "table", family, name)
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

func (c *Cleaner) leftTables(ctx context.Context) ([]string, error) {
	tables, err := c.ownTables(ctx)
	var left []string
	for _, table := range tables {
		left = append(left, "nftables table "+table)
	}
	return left, err
}

func (c *Cleaner) ownTables(ctx context.Context) ([]string, error) {
	tool := c.tool("nft")
	if tool == "" {
		return nil, nil
	}
	out, err := c.runTool(ctx, "", tool, "list", "tables")
	if err != nil {
		c.cfg.Logger.Debug("no nftables", "error", err)
		return nil, nil // no support in the kernel, so none exist
	}
	return parseTables(out), nil
}

// parseTables picks k3s's tables, as "family name", from nft list tables.
func parseTables(out string) []string {
	var own []string
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[0] != "table" {
			continue
		}
		switch name := fields[2]; {
		case name == "kube-proxy", name == "cni_hostport", name == "cni_plugins_masquerade",
			name == "flannel-ipv4", name == "flannel-ipv6", strings.HasPrefix(name, "kube-router"):
			own = append(own, fields[1]+" "+name)
		}
	}
	return own
}

// tool finds a tool on the machine, or the one that k3s brings along.
func (c *Cleaner) tool(name string) string {
	for _, dir := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin",
		filepath.Join(c.cfg.DataDir, "data/current/bin/aux"), filepath.Join(c.cfg.DataDir, "data/current/bin")} {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0 {
			return path
		}
	}
	return ""
}

func (c *Cleaner) runTool(ctx context.Context, input, path string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, toolLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin = strings.NewReader(input)
	cmd.WaitDelay = time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", filepath.Base(path), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}
