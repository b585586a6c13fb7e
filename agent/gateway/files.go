package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// files keeps the last table, so that a restart serves without the cluster.
// Certificates have a file of their own: routes.json holds no secret.
type files struct{ dir string }

const (
	routesFile       = "routes.json"
	certificatesFile = "certificates.json"
)

type savedTable struct {
	SavedAt time.Time `json:"savedAt"`
	Table   Table     `json:"table"`
}

// load returns the last table, nil if there is none.
func (f files) load() (*Table, time.Time, error) {
	var saved savedTable
	if err := f.read(routesFile, &saved); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, time.Time{}, nil
		}
		return nil, time.Time{}, err
	}
	err := f.read(certificatesFile, &saved.Table.Certificates)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, time.Time{}, err
	}
	return &saved.Table, saved.SavedAt, nil
}

func (f files) read(name string, into any) error {
	data, err := os.ReadFile(filepath.Join(f.dir, name))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	return nil
}

// save writes the table.
func (f files) save(table Table, at time.Time) error {
	if err := f.write(certificatesFile, table.Certificates); err != nil {
		return err
	}
	return f.write(routesFile, savedTable{SavedAt: at, Table: table})
}

// write replaces a file in one step: readers see the old or the new one.
func (f files) write(name string, value any) (err error) {
	data, err := json.MarshalIndent(value, "", " ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	temp, err := os.CreateTemp(f.dir, name+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("writing %s: %w", name, err), os.Remove(temp.Name()))
		}
	}()
	_, err = temp.Write(data)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err = os.Rename(temp.Name(), filepath.Join(f.dir, name)); err != nil {
		return err
	}
	return syncDir(f.dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
