package credstore

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/outgrant/outgrant"
	"github.com/outgrant/outgrant/authcode"
	"github.com/outgrant/outgrant/credstore/driver"
)

// Deploy checks an artifact and stores it, in place of one of the same name, if there is one. Running clients of this
// process use it from their next request on, those of other processes within Options.PollInterval. What it refers to, such
// as a key pair, may be deployed later. Of two deploys at once the later one stays, whole. An artifact that is deployed
// already, just as it is, stays as it is, so that a program may deploy its file whenever it starts.
//
// An authorization code keeps what its user authorized as long as client id, URLs, user and scopes stay the same;
// otherwise it is Unauthorized again, and the old refresh token is revoked where the artifact says how. One more than
// Limits allow is [ErrLimit]. [Problems] takes apart what is wrong with an artifact.
func (s *Store) Deploy(ctx context.Context, a Artifact) error { return s.deployIf(ctx, a, nil) }

// DeployIf is Deploy for somebody who has seen what is deployed: it is [ErrChanged], and changes nothing, unless that is still
// what [Info].Version says; "": that there is nothing of that name.
func (s *Store) DeployIf(ctx context.Context, a Artifact, version string) error {
	return s.deployIf(ctx, a, &version)
}

// Check returns what [Store.Deploy] would say is wrong with an artifact, without storing it. Whether the store has room for it, and
// what it refers to, is not looked at.
func (s *Store) Check(a Artifact) error {
	_, err := s.checked(a)
	return err
}

func (s *Store) checked(a Artifact) (artifact, error) {
	own, err := copyOf(a)
	if err == nil {
		err = check(own, s.opts.AllowInsecureHTTP)
	}
	if err != nil {
		return nil, fmt.Errorf("credstore: Deploy: %w", err)
	}
	return own, nil
}

func (s *Store) deployIf(ctx context.Context, a Artifact, version *string) error {
	own, err := s.checked(a)
	if err != nil {
		return err
	}
	if err := s.begin(); err != nil {
		return err
	}
	defer s.running.Done()
	n := s.name(own.ArtifactName())
	if err := s.deploy(ctx, n, own, version); err != nil {
		return n.failure(err)
	}
	return nil
}

func (s *Store) deploy(ctx context.Context, n nameOf, a artifact, ifVersion *string) error {
	info := infoOf(a)
	info.DeployedBy = s.who
	if err := s.core.noteTenant(ctx, n.tenant); err != nil {
		return err
	}
	shared, done, err := s.core.admit(ctx, n, a)
	if err != nil {
		return err
	}
	before, isNew, err := s.core.store(ctx, n, a, info, ifVersion)
	done()
	if errors.Is(err, errSame) {
		return nil
	}
	if err != nil {
		return err
	}
	s.changes.Add(1)
	s.note(n, Event{What: EventDeployed, Who: s.who}, nil)
	binding := info.Binding
	if isNew { // a grant that is there came when its artifact was being undeployed
		before, binding = a, ""
	}
	_ = s.core.endGrant(ctx, n, before, binding) // it is bound to what it was authorized for, and of no use to anything else
	s.core.applyExpiry(ctx, n, before, a)
	if shared != "" {
		same := "has the same client and user"
		if a.facts().user == "" {
			same = "has the same client and names no user, either"
		}
		s.tell(n, a, outgrant.SharedClient, sharedClientError{shared, same + ": where the provider keeps one refresh token for both, each refresh ends the other's; give each a client of its own"})
	}
	return nil
}

// sharedClientError tells of another credential. Who reads a history may not be one who may know its name.
type sharedClientError struct{ other, what string }

func (e sharedClientError) Error() string { return strconv.Quote(e.other) + " " + e.what }

// errSame: the artifact is deployed as it is.
var errSame = errors.New("nothing has changed")

// store writes an artifact, and returns the one that it takes the place of: nil if that could not be read, or it is new.
// ifVersion is what that must be; nil: anything.
func (c *core) store(ctx context.Context, n nameOf, a artifact, info artifactInfo, ifVersion *string) (before artifact, isNew bool, err error) {
	plain, err := encode(a)
	if err != nil {
		return nil, false, err
	}
	for {
		before, last, err := c.artifact(ctx, n)
		isNew := errors.Is(err, driver.ErrNotFound)
		if err != nil && !isNew && !errors.Is(err, ErrUnreadable) {
			return nil, false, err
		}
		if ifVersion != nil && *ifVersion != readArtifactInfo(last.Info).Deployment {
			return nil, false, ErrChanged
		}
		if err == nil {
			if stored, err := encode(before); err == nil && bytes.Equal(stored, plain) {
				return nil, false, errSame
			}
		}
		if err := c.clear(ctx, n.key(artifactKind), err); err != nil {
			return nil, false, err
		}
		_, err = c.put(ctx, driver.Record{Key: n.key(artifactKind), Expires: info.Expires, Info: info.encode()}, plain, last.Version)
		if err == nil {
			return before, isNew, nil
		}
		if !errors.Is(err, driver.ErrConflict) {
			if c.isDeployed(ctx, n, info) { // its answer was lost
				return before, isNew, nil
			}
			return nil, false, err
		}
	}
}

// isDeployed reports whether a deployment is the one that is stored.
func (c *core) isDeployed(ctx context.Context, n nameOf, info artifactInfo) bool {
	r, err := c.drv.Get(ctx, n.key(artifactKind))
	return err == nil && readArtifactInfo(r.Info).Deployment == info.Deployment
}

// Undeploy removes an artifact, and what its user authorized; the refresh token is revoked where the artifact says how,
// which is tried once: the hook AuthorizationChanged tells how it went. Its sources fail from then on. Where there is no
// artifact, it removes what was authorized under that name ([Store.Vault]), and revokes nothing: [authcode.Client.Revoke]
// does. If there is neither, it is [ErrNotFound]. The artifact goes first: where what was authorized cannot be removed then, it is an
// error that says so, and to undeploy it again removes it.
func (s *Store) Undeploy(ctx context.Context, name string) error { return s.undeployIf(ctx, name, nil) }

// UndeployIf is Undeploy for somebody who has seen what is deployed: it is [ErrChanged], and changes nothing, unless that is
// still what [Info].Version says. What is left of an artifact that is gone is removed, whatever the version was.
func (s *Store) UndeployIf(ctx context.Context, name, version string) error {
	return s.undeployIf(ctx, name, &version)
}

func (s *Store) undeployIf(ctx context.Context, name string, ifVersion *string) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.running.Done()
	n := s.name(name)
	kind, version := artifactKind, ""
	before, r, err := s.core.artifact(ctx, n)
	switch {
	case errors.Is(err, driver.ErrNotFound) && n.key(grantKind).Check() == nil: // it may be what was left of an artifact
		kind, err = grantKind, nil
		if ifVersion != nil {
			r, err = s.core.leftGrant(ctx, n)
		}
	case ifVersion != nil && !errors.Is(err, errUnavailable) && readArtifactInfo(r.Info).Deployment != *ifVersion:
		err = ErrChanged
	case errors.Is(err, ErrUnreadable):
		err = nil
	}
	if ifVersion != nil {
		version = r.Version
	}
	if err == nil {
		err = s.core.delete(ctx, n.key(kind), version)
	}
	if ifVersion != nil && (errors.Is(err, driver.ErrConflict) || errors.Is(err, driver.ErrNotFound) && *ifVersion != "") {
		err = ErrChanged
	}
	if err != nil {
		return n.failure(err)
	}
	s.changes.Add(1)
	s.note(n, Event{What: EventUndeployed, Who: s.who}, nil)
	s.core.codes.forget(n)
	s.core.forgetShared(ctx, n)
	if kind == grantKind {
		return nil
	}
	if err := s.core.endGrant(ctx, n, before, ""); err != nil {
		return n.failure(fmt.Errorf("it is undeployed, but what its user authorized could not be removed: undeploy it again: %w", err))
	}
	return nil
}

// leftGrant returns what was authorized for an artifact that is gone; ErrChanged: there is one again.
func (c *core) leftGrant(ctx context.Context, n nameOf) (driver.Record, error) {
	r, _, err := c.get(ctx, n.key(grantKind))
	if err != nil && !errors.Is(err, ErrUnreadable) {
		return r, err
	}
	switch _, _, err := c.artifact(ctx, n); {
	case errors.Is(err, driver.ErrNotFound):
		return r, nil
	case errors.Is(err, errUnavailable):
		return r, err
	}
	return r, ErrChanged
}

// delete deletes a record. Where the answer to that was lost, it looks whether the record is gone.
func (c *core) delete(ctx context.Context, key driver.Key, version string) error {
	err := c.drv.Delete(ctx, key, version)
	if err == nil || errors.Is(err, driver.ErrConflict) || errors.Is(err, driver.ErrNotFound) {
		return err
	}
	if _, gone := c.drv.Get(ctx, key); errors.Is(gone, driver.ErrNotFound) {
		return nil
	}
	return err
}

// applyExpiry makes another refresh token expiry hold for the refresh token that is there, so that the job knows of it.
func (c *core) applyExpiry(ctx context.Context, n nameOf, before, a artifact) {
	code, isCode := a.(*AuthorizationCode)
	last, wasCode := before.(*AuthorizationCode)
	if !isCode || !wasCode || code.RefreshTokenExpiryDays == last.RefreshTokenExpiryDays && code.Provider == last.Provider {
		return
	}
	if client, err := c.client(ctx, n.id()); err == nil {
		_, _ = client.Renew(ctx) // if it fails, the next refresh does it
	}
}

// endGrant deletes what was authorized for an artifact, unless the binding is still the one that it was authorized for. A
// refresh that is under way finds it gone, and revokes what it brings.
func (c *core) endGrant(ctx context.Context, n nameOf, before artifact, binding string) error {
	for {
		r, plain, err := c.get(ctx, n.key(grantKind))
		switch {
		case errors.Is(err, driver.ErrNotFound), err == nil && binding != "" && readGrantInfo(r.Info).Binding == binding:
			return nil
		case err != nil && !errors.Is(err, ErrUnreadable):
			return err
		}
		err = c.delete(ctx, r.Key, r.Version)
		if errors.Is(err, driver.ErrConflict) {
			continue
		}
		if code, ok := before.(*AuthorizationCode); ok && !errors.Is(err, driver.ErrNotFound) {
			c.revoke(ctx, n, code, plain)
		}
		return err
	}
}

const revokeTimeout = 10 * time.Second

// revoke revokes the refresh token of a grant, as far as its provider lets it. The client tells how it went.
func (c *core) revoke(ctx context.Context, n nameOf, a *AuthorizationCode, grant []byte) {
	authorization, err := authcode.ParseAuthorization(grant)
	if err != nil {
		return
	}
	pair, err := c.keyPairFor(ctx, n, &built{artifact: a})
	if err != nil {
		return
	}
	last := authcode.NewMemoryVault()
	client, err := c.authorizationCode(n, a, pair, last)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, revokeTimeout)
	defer cancel()
	if _, err := last.Save(ctx, n.name, "", authorization); err == nil {
		_ = client.Revoke(ctx)
	}
}

func (s *Store) tell(n nameOf, a artifact, change outgrant.AuthorizationChange, err error) {
	if hook := s.hooks(n, false).AuthorizationChanged; hook != nil {
		of := outgrant.Credential{Name: n.name, Grant: outgrant.AuthorizationCode, TokenURL: a.facts().tokenServiceURL}
		hook(outgrant.AuthorizationEvent{Credential: of, Change: change, Err: err})
	}
}

// noteTenant makes a tenant known, so that all can be found.
func (c *core) noteTenant(ctx context.Context, tenant string) error {
	if tenant == "" {
		return nil
	}
	r := driver.Record{Key: driver.Key{Kind: tenantKind, Name: tenant}}
	_, err := c.drv.Put(ctx, r, "")
	if errors.Is(err, driver.ErrDamaged) {
		if err = c.clear(ctx, r.Key, err); err == nil {
			_, err = c.drv.Put(ctx, r, "")
		}
	}
	if err != nil && !errors.Is(err, driver.ErrConflict) { // else it is known
		return fmt.Errorf("its tenant cannot be noted: %w", err)
	}
	return nil
}

// artifactInfo is what is kept of an artifact beside the seal, for lists.
type artifactInfo struct {
	Deployment      string    `json:"deployment"` // of each Deploy another one
	Type            string    `json:"type"`
	Description     string    `json:"description,omitempty"`
	TokenServiceURL string    `json:"tokenServiceUrl,omitempty"`
	ClientID        string    `json:"clientId,omitempty"`
	User            string    `json:"user,omitempty"`
	KeyPairAlias    string    `json:"keyPairAlias,omitempty"`
	ForUsers        bool      `json:"forUsers,omitempty"`
	DeployedBy      string    `json:"deployedBy,omitempty"`
	Binding         string    `json:"binding,omitempty"` // of an authorization code
	DeployedOn      time.Time `json:"deployedOn"`
	Expires         time.Time `json:"expires,omitzero"`
	EndsSoon        time.Time `json:"endsSoon,omitzero"` // from when on Expires is soon
}

func infoOf(a artifact) artifactInfo {
	f := a.facts()
	info := artifactInfo{
		Deployment: rand.Text(), Type: a.Type(), Description: f.description, TokenServiceURL: f.tokenServiceURL, ClientID: f.clientID, User: f.user,
		KeyPairAlias: f.keyPairAlias, ForUsers: f.principalPropagation, DeployedOn: time.Now().UTC().Truncate(time.Second), Expires: microseconds(f.expires), EndsSoon: f.endsSoon,
	}
	if code, ok := a.(*AuthorizationCode); ok {
		info.Binding = code.unauthenticated().Binding()
	}
	return info
}

func (i artifactInfo) encode() []byte {
	b, _ := json.Marshal(i) // nothing in it can fail
	return b
}

// readArtifactInfo returns the zero value for what is no artifactInfo: the record itself will tell.
func readArtifactInfo(info []byte) artifactInfo {
	var i artifactInfo
	if json.Unmarshal(info, &i) != nil {
		return artifactInfo{}
	}
	return i
}
