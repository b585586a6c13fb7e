package installer

import (
	"context"
	"fmt"
)

// step is one kind of change to the machine.
type step interface {
	kind() string
	// check lists what is still to be changed.
	check(ctx context.Context) ([]Change, error)
	apply(ctx context.Context, c Change) error
	// undo puts back what was there; a change that was never made, or was
	// undone already, is no error.
	undo(ctx context.Context, c Change) error
}

// applySteps makes what is still to be changed, each change journaled first.
// It returns how many changes there were.
func (m *machine) applySteps(ctx context.Context, j *Journal, steps []step) (int, error) {
	made := 0
	for _, s := range steps {
		changes, err := s.check(ctx)
		if err != nil {
			return made, err
		}
		for _, c := range changes {
			if err := ctx.Err(); err != nil {
				return made, err
			}
			if err := j.Record(c); err != nil {
				return made, err
			}
			if err := s.apply(ctx, c); err != nil {
				return made, fmt.Errorf("%s %s: %w", c.Kind, c.Target, err)
			}
			made++
		}
	}
	return made, nil
}

// undoSteps undoes everything the journal knows of, backwards.
func (m *machine) undoSteps(ctx context.Context, j *Journal, steps []step) error {
	byKind := map[string]step{}
	for _, s := range steps {
		byKind[s.kind()] = s
	}
	return j.Undo(func(c Change) error {
		s, ok := byKind[c.Kind]
		if !ok {
			return fmt.Errorf("this version does not know how; a newer one made the change")
		}
		return s.undo(ctx, c)
	})
}
