package registry

import "errors"

// Healthy returns nil while the registry serves.
func (r *Registry) Healthy() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.server == nil {
		return errNotStarted
	}
	select {
	case <-r.served:
		return errors.New("the image registry does not serve any more; restart the agent")
	default:
		return nil
	}
}
