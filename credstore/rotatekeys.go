package credstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/outgrant/outgrant/credstore/driver"
)

// RotateKeys makes a new data key, encrypted by Options.Keeper, and seals everything again with it. It is for the time after
// a key may have been seen, or a Keeper was replaced: when it has returned without an error, Options.OlderKeepers are not
// needed any more. The store stays in use meanwhile, in other processes too: give all of them the new Keeper first, beside
// the old one. Call it again after an error: it goes on.
func (s *Store) RotateKeys(ctx context.Context) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.running.Done()
	if err := s.keys.rotate(ctx); err != nil {
		return err
	}
	tenants := []string{""}
	var errs []error
	for r, err := range s.drv.List(ctx, "", tenantKind) {
		if r.Name == "" {
			errs = append(errs, fmt.Errorf("credstore: RotateKeys: a tenant cannot be told: %w; restore it from a backup, or deploy in that tenant again, and call this again", err))
			continue
		}
		tenants = append(tenants, r.Name)
	}
	for _, tenant := range tenants {
		for _, kind := range []string{artifactKind, grantKind, tokenKind, rejectedKind, historyKind} {
			for r, err := range s.drv.List(ctx, tenant, kind) {
				switch {
				case err == nil:
					err = s.reseal(ctx, r.Key)
				case errors.Is(err, driver.ErrDamaged):
					err = damaged(r.Key, err)
				}
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// reseal seals a record with the newest key.
func (c *core) reseal(ctx context.Context, k driver.Key) error {
	for {
		r, plain, err := c.get(ctx, k)
		if err == nil && generationOf(r) < c.keys.current() {
			_, err = c.put(ctx, r, plain, r.Version)
		}
		switch {
		case errors.Is(err, driver.ErrNotFound):
			return nil
		case !errors.Is(err, driver.ErrConflict):
			return err
		}
	}
}
