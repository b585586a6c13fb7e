package store

import (
	"context"
	"errors"

	"hks.dev/hks/agent"
)

// Reading is what a copy of the database says that other files belong to.
type Reading struct {
	Images   []agent.ImageUse // that releases and services need
	Backups  []agent.Backup   // of services, newest first
	Services []string         // that have an engine, and so data
	Volumes  []Volume
}

// ReadCopy reads a copy of an agent's database that nobody has open. The copy
// must be of this version.
func ReadCopy(ctx context.Context, file string) (r *Reading, err error) {
	db, err := openToRead(file)
	if err != nil {
		return nil, err
	}
	s := &Store{db: db}
	defer func() { err = errors.Join(err, s.Close()) }()
	r = &Reading{}
	if r.Images, err = s.ImageUses(ctx); err != nil {
		return nil, err
	}
	more, err := s.ServiceImages(ctx)
	if err != nil {
		return nil, err
	}
	r.Images = append(r.Images, more...)
	if r.Backups, err = s.Backups(ctx, ""); err != nil {
		return nil, err
	}
	services, err := s.Services(ctx)
	if err != nil {
		return nil, err
	}
	for _, one := range services {
		if one.Engine != "" {
			r.Services = append(r.Services, one.Name)
		}
	}
	r.Volumes, err = s.Volumes(ctx)
	return r, err
}

// OpensSecrets tells whether a copy of the database and a sealing key belong
// together: what is sealed in one is opened by the other. It returns the
// recovery key that is in there.
func OpensSecrets(ctx context.Context, file string, key []byte) (recovery string, err error) {
	seal, err := newSealer(key)
	if err != nil {
		return "", err
	}
	db, err := openToRead(file)
	if err != nil {
		return "", err
	}
	s := &Store{db: db, seal: seal}
	defer func() { err = errors.Join(err, s.Close()) }()
	recovery, _, ok, err := s.RecoveryKey(ctx)
	if err == nil && !ok {
		err = errors.New("the database holds no recovery key")
	}
	return recovery, err
}
