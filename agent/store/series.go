package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"hks.dev/hks/agent"
)

// Tier is a resolution that series are kept in.
type Tier struct {
	Step time.Duration // of a point
	Keep time.Duration // of the whole
}

// The tiers: minutes for two days, five minutes for thirty.
var (
	Minutes     = Tier{Step: time.Minute, Keep: 48 * time.Hour}
	FiveMinutes = Tier{Step: 5 * time.Minute, Keep: 30 * 24 * time.Hour}
)

// SeriesConfig says where series are kept.
type SeriesConfig struct {
	Path   string // of the file; its folder is made
	Budget int64  // bytes of packed points; the oldest go first; default 200 MiB
	Now    func() time.Time
}

// Series keeps figures over time in a SQLite file of its own: losing it costs
// charts and nothing else, so it need not be synced at each write, nor be part
// of a backup. It is safe for concurrent use.
//
// A row holds the points of one series, one tier and one hour in packed form
// (see packPoint): a row a point would be millions a day.
type Series struct {
	cfg SeriesConfig
	db  *sql.DB

	mu    sync.Mutex // guards names
	names map[string]seriesName
}

// seriesName is how a series is known in the file.
type seriesName struct{ id, seen int64 }

// NewSeries checks the settings; Open opens the file.
func NewSeries(cfg SeriesConfig) (*Series, error) {
	if cfg.Path == "" {
		return nil, errors.New("series need a file")
	}
	if cfg.Budget == 0 {
		cfg.Budget = 200 << 20
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Series{cfg: cfg}, nil
}

// A row's key is its hour, tier and series in one number (see rowKey), so that
// rows lie in the order of time: what is let go of touches few pages. The hour
// that is not over is kept apart and moved as a whole, in order, when it is:
// rows that grow where they lie would leave pages half empty. Seen is the last
// hour that a series has.
const seriesSchema = `
CREATE TABLE IF NOT EXISTS series (
  id   INTEGER PRIMARY KEY,
  name TEXT    NOT NULL UNIQUE,
  seen INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS series_hour (key INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS series_now  (key INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
`

const (
	seriesBits = 23 // of a series' id in a key
	hourShift  = seriesBits + 1
)

// rowKey is hour<<24 | tier<<23 | series, where the tier is 1 for minutes.
func rowKey(tier Tier, hour, id int64) int64 {
	key := hour<<hourShift | id
	if tier == Minutes {
		key |= 1 << seriesBits
	}
	return key
}

// Open opens the file. One that is damaged is put aside and begun anew.
func (s *Series) Open(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(s.cfg.Path), 0o700); err != nil {
		return fmt.Errorf("making the folder of the series: %w", err)
	}
	err := s.open(ctx)
	if err == nil {
		return nil
	}
	if aside := os.Rename(s.cfg.Path, s.cfg.Path+".damaged"); aside != nil {
		return errors.Join(err, aside)
	}
	return s.open(ctx)
}

func (s *Series) open(ctx context.Context) error {
	if err := protect(s.cfg.Path); err != nil {
		return err
	}
	dsn := (&url.URL{Scheme: "file", Opaque: s.cfg.Path, RawQuery: url.Values{
		"_journal_mode": {"WAL"},
		"_synchronous":  {"NORMAL"},
		"_busy_timeout": {"10000"},
		"_txlock":       {"immediate"},
		"_auto_vacuum":  {"incremental"},
	}.Encode()}).String()
	db, err := sql.Open("sqlite3", dsn)
	if err != nil {
		return fmt.Errorf("opening the series: %w", err)
	}
	db.SetMaxOpenConns(4)
	if _, err := db.ExecContext(ctx, seriesSchema); err != nil {
		_ = db.Close() // the first error is the one to tell
		return fmt.Errorf("opening the series: %w", err)
	}
	s.db = db
	return nil
}

// Close closes the file; closing twice is fine.
func (s *Series) Close() error {
	if s.db == nil {
		return nil
	}
	db := s.db
	s.db = nil
	if err := db.Close(); err != nil {
		return fmt.Errorf("closing the series: %w", err)
	}
	return nil
}

// Put adds one point of a tier to each series, all at the same time. Points of
// a series come in the order of time; a step that is there already is kept as
// it is, so that writing twice changes nothing.
func (s *Series) Put(ctx context.Context, tier Tier, at time.Time, points map[string]agent.SeriesPoint) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("writing series: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	step := int64(tier.Step / time.Second)
	hour, slot := at.Unix()/3600, byte(at.Unix()%3600/step)
	if err := s.know(ctx, tx, hour, points); err != nil {
		s.names = nil
		return err
	}
	if err := settle(ctx, tx, hour); err != nil {
		return err
	}
	read, err := tx.PrepareContext(ctx, `SELECT data FROM series_now WHERE key = ?`)
	if err != nil {
		return fmt.Errorf("writing series: %w", err)
	}
	defer func() { _ = read.Close() }()
	write, err := tx.PrepareContext(ctx, `INSERT INTO series_now (key, data) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET data = excluded.data`)
	if err != nil {
		return fmt.Errorf("writing series: %w", err)
	}
	defer func() { _ = write.Close() }()
	for key, p := range points {
		row := rowKey(tier, hour, s.names[key].id)
		var data []byte
		if err := read.QueryRowContext(ctx, row).Scan(&data); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("reading the series %s: %w", key, err)
		}
		grown, ok := packPoint(data, slot, p)
		if !ok {
			continue
		}
		if _, err := write.ExecContext(ctx, row, grown); err != nil {
			return fmt.Errorf("writing the series %s: %w", key, err)
		}
	}
	if err := tx.Commit(); err != nil {
		s.names = nil // what was learnt may not be in the file
		return fmt.Errorf("writing series: %w", err)
	}
	return nil
}

// settle moves the hours that are over to the others.
func settle(ctx context.Context, tx *sql.Tx, hour int64) error {
	for _, statement := range []string{
		`INSERT OR REPLACE INTO series_hour SELECT key, data FROM series_now WHERE key < ? ORDER BY key`,
		`DELETE FROM series_now WHERE key < ?`,
	} {
		if _, err := tx.ExecContext(ctx, statement, hour<<hourShift); err != nil {
			return fmt.Errorf("closing an hour of series: %w", err)
		}
	}
	return nil
}

// know makes sure that each series has a row that says it was seen in the
// hour. The caller holds mu.
func (s *Series) know(ctx context.Context, tx *sql.Tx, hour int64, points map[string]agent.SeriesPoint) error {
	if s.names == nil {
		s.names = map[string]seriesName{}
	}
	for key := range points {
		if known, ok := s.names[key]; ok && known.seen >= hour {
			continue
		}
		named := seriesName{seen: hour}
		err := tx.QueryRowContext(ctx, `INSERT INTO series (name, seen) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET seen = max(seen, excluded.seen) RETURNING id`, key, hour).Scan(&named.id)
		if err != nil {
			return fmt.Errorf("writing the series %s: %w", key, err)
		}
		s.names[key] = named
	}
	return nil
}

// Range reads the points of a series from since on.
func (s *Series) Range(ctx context.Context, tier Tier, name string, since time.Time) ([]agent.SeriesPoint, error) {
	var id, seen int64
	err := s.db.QueryRowContext(ctx, `SELECT id, seen FROM series WHERE name = ?`, name).Scan(&id, &seen)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the series %s: %w", name, err)
	}
	read, err := s.db.PrepareContext(ctx, `SELECT data FROM series_now WHERE key = ?1 UNION ALL SELECT data FROM series_hour WHERE key = ?1`)
	if err != nil {
		return nil, fmt.Errorf("reading the series %s: %w", name, err)
	}
	defer func() { _ = read.Close() }()
	var points []agent.SeriesPoint
	for hour := max(since.Unix(), s.cfg.Now().Add(-tier.Keep).Unix()) / 3600; hour <= seen; hour++ {
		var data []byte
		err := read.QueryRowContext(ctx, rowKey(tier, hour, id)).Scan(&data)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading the series %s: %w", name, err)
		}
		for _, p := range unpack(data, time.Unix(hour*3600, 0).UTC(), tier.Step) {
			if !p.Time.Before(since) {
				points = append(points, p)
			}
		}
	}
	return points, nil
}

// Names lists the series whose name begins with a prefix, and that have points
// since then.
func (s *Series) Names(ctx context.Context, prefix string, since time.Time) ([]string, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT name FROM series WHERE name >= ?1 AND name < ?1 || char(0x10ffff) AND seen >= ?2 ORDER BY name`, prefix, since.Unix()/3600)
	if err != nil {
		return nil, fmt.Errorf("listing series: %w", err)
	}
	return collect(rows, "series", func(row scanner) (name string, err error) { return name, row.Scan(&name) })
}

// Sweep lets go of what is older than its tier keeps, and of the oldest hours
// while there is more than the budget; what is freed goes back to the disk.
func (s *Series) Sweep(ctx context.Context) error {
	var oldest sql.NullInt64
	if err := s.db.QueryRowContext(ctx, `SELECT min(key) FROM series_hour`).Scan(&oldest); err != nil {
		return fmt.Errorf("looking for old points: %w", err)
	}
	now := s.cfg.Now()
	if oldest.Valid {
		for hour := oldest.Int64 >> hourShift; hour < now.Add(-Minutes.Keep).Unix()/3600; hour++ {
			first := rowKey(Minutes, hour, 0)
			if hour < now.Add(-FiveMinutes.Keep).Unix()/3600 {
				first = rowKey(FiveMinutes, hour, 0)
			}
			if _, err := s.db.ExecContext(ctx, `DELETE FROM series_hour WHERE key >= ? AND key < ?`, first, (hour+1)<<hourShift); err != nil {
				return fmt.Errorf("letting go of old points: %w", err)
			}
		}
	}
	for {
		size, err := s.size(ctx)
		if err != nil {
			return err
		}
		if size <= s.cfg.Budget {
			break
		}
		result, err := s.db.ExecContext(ctx, `DELETE FROM series_hour WHERE key < (SELECT min(key) FROM series_hour) + ?`, int64(24)<<hourShift)
		if err != nil {
			return fmt.Errorf("keeping series to their budget: %w", err)
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			break
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names = nil
	if _, err := s.db.ExecContext(ctx, `DELETE FROM series WHERE seen < (SELECT coalesce(min(key), ?) FROM (SELECT min(key) AS key FROM series_hour UNION ALL SELECT min(key) FROM series_now)) >> ?`, int64(math.MaxInt64), hourShift); err != nil {
		return fmt.Errorf("letting go of empty series: %w", err)
	}
	if _, err := s.db.ExecContext(ctx, `PRAGMA incremental_vacuum`); err != nil {
		return fmt.Errorf("giving space back: %w", err)
	}
	return nil
}

// size is what the file's used pages take, in bytes.
func (s *Series) size(ctx context.Context) (int64, error) {
	var pages, free, page int64
	for pragma, to := range map[string]*int64{"page_count": &pages, "freelist_count": &free, "page_size": &page} {
		if err := s.db.QueryRowContext(ctx, `PRAGMA `+pragma).Scan(to); err != nil {
			return 0, fmt.Errorf("measuring the series: %w", err)
		}
	}
	return (pages - free) * page, nil
}

// packPoint adds a point to an hour's bytes: its slot in the hour, then min,
// mean and max, each as the difference to the mean, or of the mean to that of
// the point before, in zigzag varints. The numbers are the upper 17 bits of a
// float32, rounded: 8 bits of mantissa, so that a value is off by 0.2 % at
// most. Values are not negative. ok is false when the slot is there already.
func packPoint(data []byte, slot byte, p agent.SeriesPoint) (grown []byte, ok bool) {
	var last int64
	before := -1
	for rest := data; len(rest) > 0; {
		var mean int64
		var at byte
		var err error
		if at, mean, _, _, rest, err = readPoint(rest, last); err != nil { // cut short: begin anew
			data, last, before = nil, 0, -1
			break
		}
		last, before = mean, int(at)
	}
	if int(slot) <= before {
		return data, false
	}
	mean := coarse(p.Mean)
	grown = append(bytes.Clone(data), slot)
	grown = binary.AppendVarint(grown, mean-last)
	grown = binary.AppendVarint(grown, mean-coarse(p.Min))
	return binary.AppendVarint(grown, coarse(p.Max)-mean), true
}

var errCutShort = errors.New("packed points are cut short")

func readPoint(data []byte, last int64) (slot byte, mean, low, high int64, rest []byte, err error) {
	slot, rest = data[0], data[1:]
	var values [3]int64
	for i := range values {
		v, n := binary.Varint(rest)
		if n <= 0 {
			return 0, 0, 0, 0, nil, errCutShort
		}
		values[i], rest = v, rest[n:]
	}
	mean = last + values[0]
	return slot, mean, mean - values[1], mean + values[2], rest, nil
}

func unpack(data []byte, hour time.Time, step time.Duration) []agent.SeriesPoint {
	var points []agent.SeriesPoint
	var last int64
	for len(data) > 0 {
		slot, mean, low, high, rest, err := readPoint(data, last)
		if err != nil {
			return points
		}
		points = append(points, agent.SeriesPoint{Time: hour.Add(time.Duration(slot) * step), Min: fine(low), Mean: fine(mean), Max: fine(high)})
		last, data = mean, rest
	}
	return points
}

const dropped = 15 // bits of a float32's mantissa

func coarse(v float64) int64 {
	if !(v > 0) { // also what is no number
		return 0
	}
	return (int64(math.Float32bits(float32(v))) + 1<<(dropped-1)) >> dropped
}

func fine(v int64) float64 { return float64(math.Float32frombits(uint32(v << dropped))) } //nolint:gosec // what coarse made
