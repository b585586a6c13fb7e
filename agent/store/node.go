package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"hks.dev/hks/agent"
)

// Node is what is kept of a machine that was invited: where its join stands.
type Node struct {
	Name      string
	Status    agent.NodeStatus
	Message   string
	Fix       string
	Token     []byte // SHA-256 of the one-time secret
	ExpiresAt time.Time
	Machine   string // who has used it; empty: nobody yet
	Steps     []agent.NodeStep
	By        string
	CreatedAt time.Time
	ChangedAt time.Time
	Disks     string // PEM: the certificate with which it serves disks; empty: it serves none
}

const nodeColumns = `name, status, message, fix, token, expires_at, machine, steps, by_whom, created_at, changed_at, disks`

func scanNode(row scanner) (n Node, err error) {
	var expires, created, changed int64
	var steps string
	if err := row.Scan(&n.Name, &n.Status, &n.Message, &n.Fix, &n.Token, &expires, &n.Machine, &steps, &n.By, &created, &changed, &n.Disks); err != nil {
		return Node{}, err
	}
	n.ExpiresAt, n.CreatedAt, n.ChangedAt = fromMillis(expires), fromMillis(created), fromMillis(changed)
	return n, json.Unmarshal([]byte(steps), &n.Steps)
}

// Nodes lists the machines that were invited, in the order of their names.
func (s *Store) Nodes(ctx context.Context) ([]Node, error) {
	return queryAll(ctx, s, "nodes", scanNode, `SELECT `+nodeColumns+` FROM node ORDER BY name`)
}

// Node returns one by its name; ok is false when there is none.
func (s *Store) Node(ctx context.Context, name string) (n Node, ok bool, err error) {
	return s.oneNode(ctx, `SELECT `+nodeColumns+` FROM node WHERE name = ?`, name)
}

// NodeByToken returns the one that a one-time secret was made for.
func (s *Store) NodeByToken(ctx context.Context, token []byte) (n Node, ok bool, err error) {
	return s.oneNode(ctx, `SELECT `+nodeColumns+` FROM node WHERE token = ?`, token)
}

func (s *Store) oneNode(ctx context.Context, query string, arg any) (Node, bool, error) {
	n, err := scanNode(s.db.QueryRowContext(ctx, query, arg))
	if errors.Is(err, sql.ErrNoRows) {
		return Node{}, false, nil
	}
	if err != nil {
		return Node{}, false, fmt.Errorf("reading a node: %w", err)
	}
	return n, true, nil
}

// PutNode writes the whole of a node in place of what was there.
func (s *Store) PutNode(ctx context.Context, n Node) error {
	if n.Steps == nil {
		n.Steps = []agent.NodeStep{}
	}
	steps, err := json.Marshal(n.Steps)
	if err != nil {
		return fmt.Errorf("encoding a node's steps: %w", err)
	}
	_, err = s.db.ExecContext(ctx, `INSERT OR REPLACE INTO node (`+nodeColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		n.Name, string(n.Status), n.Message, n.Fix, n.Token, millis(n.ExpiresAt), n.Machine, string(steps), n.By, millis(n.CreatedAt), millis(n.ChangedAt), n.Disks)
	if err != nil {
		return fmt.Errorf("writing a node: %w", err)
	}
	return nil
}

// DeleteNode forgets a machine.
func (s *Store) DeleteNode(ctx context.Context, name string) error {
	if _, err := s.db.ExecContext(ctx, `DELETE FROM node WHERE name = ?`, name); err != nil {
		return fmt.Errorf("forgetting a node: %w", err)
	}
	return nil
}
