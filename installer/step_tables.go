package installer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// packetTables are made by iptables as soon as anyone uses it, and by nobody
// taken away.
var packetTables = []string{
	"ip filter", "ip nat", "ip mangle", "ip raw", "ip6 filter", "ip6 nat", "ip6 mangle", "ip6 raw",
}

// builtInChains are the chains with which iptables makes its tables.
var builtInChains = []string{"INPUT", "OUTPUT", "FORWARD", "PREROUTING", "POSTROUTING"}

// nftLimit bounds one call of nft.
const nftLimit = 30 * time.Second

// tablesStep remembers which packet tables were not there before Kubernetes
// used iptables. Where there is no nft it has nothing to do.
type tablesStep struct {
	journal *Journal
	nft     func(ctx context.Context, args ...string) ([]byte, error)
}

// runNft runs nft(8).
func runNft(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, nftLimit)
	defer cancel()
	path := lookPath("nft")
	if path == "" {
		return nil, exec.ErrNotFound
	}
	out, err := exec.CommandContext(ctx, path, args...).Output()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, fmt.Errorf("nft %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(failed.Stderr)))
	}
	return out, err
}

func (s *tablesStep) kind() string { return "packet table" }

// nftList is what nft prints with --json.
type nftList struct {
	Items []struct {
		Table *struct {
			Family string `json:"family"`
			Name   string `json:"name"`
		} `json:"table"`
		Chain *struct {
			Name   string `json:"name"`
			Policy string `json:"policy"`
		} `json:"chain"`
		Rule *json.RawMessage `json:"rule"`
		Set  *json.RawMessage `json:"set"`
		Map  *json.RawMessage `json:"map"`
	} `json:"nftables"`
}

func (s *tablesStep) list(ctx context.Context, args ...string) (nftList, error) {
	var list nftList
	out, err := s.nft(ctx, append([]string{"--json", "list"}, args...)...)
	if err != nil {
		return list, err
	}
	if err := json.Unmarshal(out, &list); err != nil {
		return list, fmt.Errorf("reading what nft prints: %w", err)
	}
	return list, nil
}

// tables lists the tables that are there, as "FAMILY NAME".
func (s *tablesStep) tables(ctx context.Context) ([]string, error) {
	list, err := s.list(ctx, "tables")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, item := range list.Items {
		if item.Table != nil {
			names = append(names, item.Table.Family+" "+item.Table.Name)
		}
	}
	return names, nil
}

func (s *tablesStep) check(ctx context.Context) ([]Change, error) {
	if s.journal.Has(s.kind(), packetTables[0]) {
		return nil, nil // what is there now may be Kubernetes's doing
	}
	there, err := s.tables(ctx)
	if errors.Is(err, exec.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for packet tables: %w", err)
	}
	var changes []Change
	for _, name := range packetTables {
		c := Change{Kind: s.kind(), Target: name}
		if slices.Contains(there, name) {
			c.After = "was there"
		}
		changes = append(changes, c)
	}
	return changes, nil
}

// apply does nothing: the tables are made by iptables.
func (s *tablesStep) apply(context.Context, Change) error { return nil }

// undo removes a table that was not there before and has nothing in it any
// more that iptables did not make by itself.
func (s *tablesStep) undo(ctx context.Context, c Change) error {
	if c.After != "" {
		return nil
	}
	family, name, ok := strings.Cut(c.Target, " ")
	if !ok || !slices.Contains(packetTables, c.Target) {
		return fmt.Errorf("the journal names the packet table %q", c.Target)
	}
	there, err := s.tables(ctx)
	if errors.Is(err, exec.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if !slices.Contains(there, c.Target) {
		return nil
	}
	content, err := s.list(ctx, "table", family, name)
	if err != nil {
		return err
	}
	for _, item := range content.Items {
		foreign := item.Chain != nil && (!slices.Contains(builtInChains, item.Chain.Name) || item.Chain.Policy != "accept")
		if foreign || item.Rule != nil || item.Set != nil || item.Map != nil {
			return nil // someone uses it
		}
	}
	_, err = s.nft(ctx, "delete", "table", family, name)
	return err
}
