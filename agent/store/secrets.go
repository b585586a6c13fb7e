package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"

	"hks.dev/hks/agent"
)

// sealedColumn is where secrets are sealed.
type sealedColumn struct {
	query string                      // its rows: what the label is made of, then the sealed value
	label func(name string) string    // of a row
	take  func(plain []byte) []string // the secrets in it
}

// sealedColumns are all of them, except for the requests of builds, which end
// with their build.
var sealedColumns = []sealedColumn{
	{`SELECT app || '-' || environment || '-' || number, env FROM release`, func(name string) string { return "env/" + name }, jsonValues},
	{`SELECT name, key FROM function`, func(name string) string { return "function-key/" + name }, whole},
	{`SELECT name, env FROM function`, func(name string) string { return "function/" + name }, jsonValues},
	{`SELECT name, settings FROM channel`, func(name string) string { return "channel/" + name }, channelSecrets},
	{`SELECT '', secret FROM github`, func(string) string { return gitHubLabel }, whole},
	{`SELECT name, secret FROM pipeline`, pipelineLabel, whole},
	{`SELECT host, key FROM domain`, domainLabel, whole},
	{`SELECT '', sealed FROM backup_target`, func(string) string { return targetLabel }, targetSecrets},
}

// SecretsIn lists the secrets that an agent's database file holds sealed, for
// whoever must keep them out of something. Tables that are not there, or rows
// that another key has sealed, have none.
func SecretsIn(ctx context.Context, file string, key []byte) ([]string, error) {
	seal, err := newSealer(key)
	if err != nil {
		return nil, err
	}
	db, err := openFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the secrets of %s: %w", file, err)
	}
	defer func() { _ = db.Close() }() // only read
	var secrets []string
	for _, column := range sealedColumns {
		if err := column.read(ctx, db, seal, &secrets); err != nil && ctx.Err() != nil {
			return nil, fmt.Errorf("reading the secrets of %s: %w", file, err)
		}
	}
	slices.Sort(secrets)
	return slices.Compact(secrets), nil
}

func (c sealedColumn) read(ctx context.Context, db *sql.DB, seal *sealer, into *[]string) error {
	rows, err := db.QueryContext(ctx, c.query)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name string
		var sealed []byte
		if err := rows.Scan(&name, &sealed); err != nil {
			return err
		}
		if plain, err := seal.open(c.label(name), sealed); err == nil {
			*into = append(*into, c.take(plain)...)
		}
	}
	return rows.Err()
}

func whole(plain []byte) []string { return []string{string(plain)} }

// jsonValues are the values of an environment.
func jsonValues(plain []byte) []string {
	var env map[string]string
	if json.Unmarshal(plain, &env) != nil {
		return nil
	}
	var values []string
	for _, value := range env {
		values = append(values, value)
	}
	return values
}

func channelSecrets(plain []byte) []string {
	var c agent.Channel
	if json.Unmarshal(plain, &c) != nil {
		return nil
	}
	return []string{c.URL, c.Token, c.Password}
}

func targetSecrets(plain []byte) []string {
	var target agent.BackupTarget
	if json.Unmarshal(plain, &target) != nil {
		return nil
	}
	return []string{target.SecretKey}
}
