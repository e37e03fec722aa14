package credstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/credstore/driver"
)

// The words of Info.Status.
const (
	Deployed     = authcode.Deployed     // it does its work
	Error        = authcode.Error        // somebody has to act: Reason says what to do
	Unauthorized = authcode.Unauthorized // a user has to authorize it (authorization codes only)
)

// Info is what there is to see of an artifact. It holds no secret.
type Info struct {
	Name, Type     string // the type in SAP's words, such as OAuth2 Client Credentials
	Status, Reason string // the status is Deployed, Error or Unauthorized; the reason is for people, and "" where all is said
	Description    string

	TokenServiceURL string // without query; "" where there is none
	ClientID        string
	KeyPairAlias    string // the key pair that it needs, or ""
	User            string // whose resources it opens, as deployed, or else who authorized it
	ForUsers        bool   // it acts for the user of each call: see Store.UserSource

	Version    string // of what is deployed: another one after each Deploy that changes something
	DeployedOn time.Time
	DeployedBy string // who deployed it, as told to Store.As; "": the program, or somebody who was not named

	ExpiresOn    time.Time // when the authorization, or the key pair's certificate, ends by itself; zero: never, as far as is known
	AuthorizedOn time.Time // when a user authorized it; zero: never
	RefreshedOn  time.Time // when the refresh token was last used; zero: never
	RenewalDue   time.Time // when Store.Run renews the refresh token; zero: never

	RefreshTokenIssued time.Time // when the refresh token came; zero: there is none
	TokenFetched       time.Time // when the access token came that came last; zero: not known, as all below without Options.History, but for authorization codes
	TokenExpires       time.Time // when that one ends; zero: not known
	Failures           [24]int   // how many requests for a token failed in each of the last 24 hours, that of now being the last
}

// List returns the tenant's artifacts, by name. It opens no secret and asks no token service. An artifact that cannot be
// read has the status Error; its name is "" if not even that can be told. What only shows when a secret is opened, such as
// a record of another store, is told by [Store.Info]. In the process that has a refresh token which could not be stored yet,
// both say so.
func (s *Store) List(ctx context.Context) ([]Info, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.running.Done()
	artifacts, grants, histories, err := s.listed(ctx)
	if err != nil {
		return nil, fmt.Errorf("credstore: List: %w", err)
	}
	all := make([]Info, len(artifacts))
	now := time.Now()
	var reading sync.WaitGroup
	part := max(len(artifacts)/runtime.GOMAXPROCS(0), 100)
	for from := 0; from < len(artifacts); from += part {
		reading.Go(func() {
			for i := from; i < min(from+part, len(artifacts)); i++ {
				a, grant := artifacts[i], grants[artifacts[i].Name]
				h := readHistoryInfo(histories[a.Name].Info)
				h.merge(s.notes.of(s.name(a.Name)).info)
				all[i] = infoFrom(a.Record, cmp.Or(a.err, grant.err), readGrantInfo(grant.Info), h, now)
				s.addPending(&all[i])
			}
		})
	}
	reading.Wait()
	pairs := map[string]bool{}
	for _, info := range all {
		if info.Type == typeKeyPair {
			pairs[info.Name] = true
		}
	}
	for i := range all {
		if alias := all[i].KeyPairAlias; alias != "" && !pairs[alias] {
			all[i].Status, all[i].Reason = Error, fmt.Sprintf("the key pair %q is not deployed: deploy it", alias)
		}
	}
	slices.SortFunc(all, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// listedRecord is a record of a list. err is why it cannot be read, or nil.
type listedRecord struct {
	driver.Record
	err error
}

// listed returns the artifacts, and the grants and histories by name. They are read side by side, as all may be many.
func (s *Store) listed(ctx context.Context) (artifacts []listedRecord, grants, histories map[string]listedRecord, err error) {
	grants, histories = map[string]listedRecord{}, map[string]listedRecord{}
	var reading sync.WaitGroup
	var grantsErr, historiesErr error
	reading.Go(func() { grantsErr = s.each(ctx, grantKind, func(r listedRecord) { grants[r.Name] = r }) })
	if s.opts.History {
		reading.Go(func() { historiesErr = s.each(ctx, historyKind, func(r listedRecord) { histories[r.Name] = r }) })
	}
	err = s.each(ctx, artifactKind, func(r listedRecord) { artifacts = append(artifacts, r) })
	reading.Wait()
	return artifacts, grants, histories, cmp.Or(grantsErr, historiesErr, err)
}

// each lists the records of a kind.
func (s *Store) each(ctx context.Context, kind string, take func(listedRecord)) error {
	for r, err := range s.drv.List(ctx, s.tenant, kind) {
		if err != nil && r.Kind == "" {
			return err
		}
		if errors.Is(err, driver.ErrDamaged) {
			err = damaged(r.Key, err)
		}
		take(listedRecord{r, err})
	}
	return nil
}

// Info returns what there is to see of one artifact.
func (s *Store) Info(ctx context.Context, name string) (Info, error) {
	n := s.name(name)
	if err := s.begin(); err != nil {
		return Info{}, err
	}
	defer s.running.Done()
	r, _, err := s.get(ctx, n.key(artifactKind))
	if err != nil && !errors.Is(err, ErrUnreadable) {
		return Info{}, n.failure(err)
	}
	grant, _, grantErr := s.get(ctx, n.key(grantKind))
	if errors.Is(grantErr, errUnavailable) {
		return Info{}, n.failure(grantErr)
	}
	if err == nil && !errors.Is(grantErr, driver.ErrNotFound) {
		err = grantErr
	}
	h, historyErr := s.historyInfo(ctx, n)
	if historyErr != nil {
		return Info{}, n.failure(historyErr)
	}
	info := infoFrom(r, err, readGrantInfo(grant.Info), h, time.Now())
	s.addPending(&info)
	if alias := info.KeyPairAlias; alias != "" && info.Status != Error {
		pair, _, err := s.core.artifact(ctx, nameOf{s.tenant, alias})
		if errors.Is(err, errUnavailable) {
			return Info{}, n.failure(err)
		}
		if err != nil || pair.Type() != typeKeyPair {
			info.Status, info.Reason = Error, fmt.Sprintf("the key pair %q is not deployed: deploy it", alias)
		}
	}
	return info, nil
}

// historyInfo reads what lists show of a history.
func (s *Store) historyInfo(ctx context.Context, n nameOf) (historyInfo, error) {
	if !s.opts.History {
		return historyInfo{}, nil
	}
	if err := s.notes.storing.Lock(ctx, n); err != nil { // while it is stored it is in neither place
		return historyInfo{}, err
	}
	defer s.notes.storing.Unlock(n)
	r, _, err := s.get(ctx, n.key(historyKind))
	if errors.Is(err, errUnavailable) {
		return historyInfo{}, err
	}
	h := readHistoryInfo(r.Info)
	h.merge(s.notes.of(n).info)
	return h, nil
}

// addPending tells of a refresh token that is in the memory of this process alone.
func (s *Store) addPending(info *Info) {
	s.mu.RLock()
	used := s.credentials[s.name(info.Name)]
	s.mu.RUnlock()
	if used == nil || info.Status != Deployed {
		return
	}
	if code := used.built.Load().code; code != nil {
		info.Reason = cmp.Or(code.Pending(), info.Reason)
	}
}

// infoFrom tells about a record of an artifact, and the grant and history of the same name. err is why it cannot be read, or nil.
func infoFrom(r driver.Record, err error, grant grantInfo, past historyInfo, now time.Time) Info {
	kept := readArtifactInfo(r.Info)
	if err == nil && kept.Type == "" {
		err = damaged(r.Key, errors.New("it does not say what it is"))
	}
	info := Info{
		Name: r.Name, Type: kept.Type, Status: Deployed, Description: kept.Description,
		TokenServiceURL: kept.TokenServiceURL, ClientID: kept.ClientID, KeyPairAlias: kept.KeyPairAlias, User: kept.User, ForUsers: kept.ForUsers,
		Version: kept.Deployment, DeployedOn: kept.DeployedOn, DeployedBy: kept.DeployedBy, ExpiresOn: kept.Expires,
		TokenFetched: past.Fetched, TokenExpires: past.Expires, Failures: past.failuresAt(hourOf(now)),
	}
	switch {
	case err != nil:
		info.Status, info.Reason = Error, err.Error()
	case kept.Type == typeAuthorizationCode:
		info.authorized(kept, grant, now)
	case !kept.Expires.IsZero() && now.After(kept.Expires):
		info.Status, info.Reason = Error, fmt.Sprintf("the certificate ended on %s: deploy a new key pair", day(kept.Expires))
	case !kept.EndsSoon.IsZero() && now.After(kept.EndsSoon):
		info.Reason = fmt.Sprintf("the certificate ends on %s: deploy a new key pair before", day(kept.Expires))
	}
	info.failing(past)
	return info
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

// failing adds that the last request for a token failed.
func (i *Info) failing(past historyInfo) {
	for _, good := range []time.Time{past.Fetched, i.TokenFetched, i.AuthorizedOn, i.RefreshedOn, i.DeployedOn.Add(-1)} {
		if !past.Failed.After(good) {
			return
		}
	}
	switch {
	case i.Status != Deployed || i.Reason != "":
	case past.Permanent && i.Type != typeAuthorizationCode: // the grant knows better what a refusal means
		i.Status, i.Reason = Error, fmt.Sprintf("%s (%s)", past.Failure, day(past.Failed))
	default:
		i.Reason = fmt.Sprintf("%s (%s); it is tried again when a token is asked for", past.Failure, day(past.Failed))
	}
}

// authorized adds what is known of an authorization.
func (i *Info) authorized(kept artifactInfo, grant grantInfo, now time.Time) {
	s := grant.Status
	if grant.Binding != kept.Binding { // of what was deployed before, or none
		s = authcode.Authorization{}.Status(now)
	}
	s = s.At(now)
	i.Status, i.Reason, i.ExpiresOn = s.State, s.Reason, s.Expires
	i.AuthorizedOn, i.RefreshedOn, i.RenewalDue = s.Authorized, s.Refreshed, s.Due
	if grant.Binding == kept.Binding {
		i.RefreshTokenIssued, i.TokenFetched, i.TokenExpires = grant.Issued, grant.TokenFetched, grant.TokenExpires
	}
	if i.User == "" {
		i.User = s.User
	}
}

// Artifact returns an artifact without its secrets, to be shown, or edited and deployed again with them.
func (s *Store) Artifact(ctx context.Context, name string) (Artifact, error) {
	a, err := s.deployed(ctx, name)
	if err != nil {
		return nil, err
	}
	return withoutSecrets(a)
}

// deployed returns an artifact with its secrets.
func (s *Store) deployed(ctx context.Context, name string) (artifact, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.running.Done()
	n := s.name(name)
	a, _, err := s.core.artifact(ctx, n)
	if err != nil {
		return nil, n.failure(err)
	}
	return a, nil
}

// SecretsOf returns the names of the attributes of an artifact that are secrets and set, such as clientSecret: so that a program which
// lets people edit it can ask for them again.
func (s *Store) SecretsOf(ctx context.Context, name string) ([]string, error) {
	a, err := s.deployed(ctx, name)
	if err != nil {
		return nil, err
	}
	return secretsOf(a.members()), nil
}

// SecureParameter returns the secret of a [SecureParameter]. It is read each time, so that a changed one takes effect at
// once.
func (s *Store) SecureParameter(ctx context.Context, alias string) (outgrant.Secret, error) {
	a, err := s.deployed(ctx, alias)
	if err != nil {
		return "", err
	}
	p, ok := a.(*SecureParameter)
	if !ok {
		return "", s.name(alias).failure(notOffered(a, "which is no secure parameter"))
	}
	return p.Value, nil
}
