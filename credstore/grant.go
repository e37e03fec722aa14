package credstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/credstore/driver"
)

// Vault returns where the tenant's authorizations live, for authorization codes that are configured in the program rather
// than deployed. Their names share the artifacts' name space. Close the clients that use it before the store.
func (s *Store) Vault() authcode.Vault { return &vault{s} }

type vault struct{ store *Store }

func (v *vault) key(name string) driver.Key { return v.store.name(name).key(grantKind) }

// Load returns the authorization: the zero value if there is none, and authcode.ErrUnreadable if it is damaged.
func (v *vault) Load(ctx context.Context, name string) (authcode.Authorization, error) {
	_, a, err := v.load(ctx, name)
	return a, err
}

func (v *vault) load(ctx context.Context, name string) (version string, a authcode.Authorization, err error) {
	r, plain, err := v.store.get(ctx, v.key(name))
	if errors.Is(err, driver.ErrNotFound) {
		return "", authcode.Authorization{}, nil
	}
	if err == nil {
		if a, err = authcode.ParseAuthorization(plain); err != nil {
			err = fmt.Errorf("%w: %w", ErrUnreadable, err)
		}
		a = shifted(a, -v.store.clock.offset(ctx))
	}
	if errors.Is(err, ErrUnreadable) {
		err = fmt.Errorf("%w: %w", authcode.ErrUnreadable, err)
	}
	return r.Version, a, err
}

// Save writes next if the stored refresh token is spent still, and returns what is stored then.
func (v *vault) Save(ctx context.Context, name string, spent outgrant.Secret, next authcode.Authorization) (authcode.Authorization, error) {
	plain, err := shifted(next, v.store.clock.offset(ctx)).Reveal()
	if err != nil {
		return authcode.Authorization{}, err
	}
	for {
		version, stored, err := v.load(ctx, name)
		if errors.Is(err, authcode.ErrUnreadable) && spent == "" {
			err = v.store.clear(ctx, v.key(name), err) // a new one takes its place
		}
		if err != nil || stored.RefreshToken != spent {
			return stored, err
		}
		r := driver.Record{Key: v.key(name), Due: next.Due, Info: grantInfoOf(next).encode()}
		_, err = v.store.put(ctx, r, plain, version)
		if err == nil {
			return next, nil
		}
		if !errors.Is(err, driver.ErrConflict) {
			return authcode.Authorization{}, err
		}
	}
}

// shifted returns an authorization with other times for what is compared with a clock at once: on another machine that is
// another clock. By days it does not matter.
func shifted(a authcode.Authorization, by time.Duration) authcode.Authorization {
	if by == 0 {
		return a
	}
	shift := func(t time.Time) time.Time {
		if t.IsZero() {
			return t
		}
		return t.Add(by)
	}
	if t := a.Token; t != nil {
		a.Token = (&outgrant.Token{AccessToken: t.AccessToken, Type: t.Type, Expiry: shift(t.Expiry), Scopes: t.Scopes, User: t.User}).WithExtra(t.Extras())
		a.TokenIssued = shift(a.TokenIssued)
	}
	if m := a.Mark; m != nil {
		mark := *m
		mark.Started, mark.Since, mark.Until = shift(m.Started), shift(m.Since), shift(m.Until)
		a.Mark = &mark
	}
	return a
}

// Lock waits until it holds the lock of the name.
func (v *vault) Lock(ctx context.Context, name string) (authcode.VaultLock, error) {
	return v.store.drv.Lock(ctx, v.key(name))
}

// grantInfo is what is kept of an authorization beside the seal, for lists.
type grantInfo struct {
	Binding      string          `json:"binding"`
	Status       authcode.Status `json:"status"`
	Issued       time.Time       `json:"issued,omitzero"` // when the refresh token came
	TokenFetched time.Time       `json:"tokenFetched,omitzero"`
	TokenExpires time.Time       `json:"tokenExpires,omitzero"`
}

func grantInfoOf(a authcode.Authorization) grantInfo {
	info := grantInfo{Binding: a.Binding, Status: a.Status(time.Now()), Issued: a.RefreshIssued}
	if a.Token != nil {
		info.TokenFetched, info.TokenExpires = a.TokenIssued, a.Token.Expiry
	}
	return info
}

func (g grantInfo) encode() []byte {
	b, _ := json.Marshal(g) // nothing in it can fail
	return b
}

// readGrantInfo returns the zero value for what is no grantInfo: the record itself will tell.
func readGrantInfo(info []byte) grantInfo {
	var g grantInfo
	if len(info) == 0 || json.Unmarshal(info, &g) != nil {
		return grantInfo{}
	}
	return g
}

// consent tells an authorization from a later one.
func (g grantInfo) consent() string {
	return g.Binding + " " + g.Status.Authorized.UTC().Format(time.RFC3339Nano)
}
