package credstore

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/outgrant/outgrant/internal/keylock"
)

// codes counts the authorization codes of the tenants.
type codes struct {
	deploying keylock.Locks[string] // by tenant: one after the other, or more than may be would fit in

	mu  sync.Mutex
	all map[string]*codesOf // by tenant
}

// codesOf are the authorization codes of a tenant, by name, as they were counted last.
type codesOf struct {
	counted time.Time
	goodFor int // with so many it is to be counted again; less than 0: any number
	clients map[string]clientOf
}

// clientOf is what two authorization codes must not share where a provider keeps one refresh token for it.
type clientOf struct{ tokenServiceURL, clientID, user string }

// recount is how long a count is good for: other processes deploy, too. It is also good for a quarter of the room only that
// it found, so that a few processes that deploy side by side keep the limit, and few deploys count.
const recount = 10 * time.Second

// admit lets an artifact be stored, until done is called. It is ErrLimit if it is one authorization code too many. shared
// is another one with the same client and user, or "".
func (c *core) admit(ctx context.Context, n nameOf, a artifact) (shared string, done func(), err error) {
	if a.Type() != typeAuthorizationCode {
		return "", func() {}, nil
	}
	if err := c.codes.deploying.Lock(ctx, n.tenant); err != nil {
		return "", nil, err
	}
	unlock := func() { c.codes.deploying.Unlock(n.tenant) }
	f := a.facts()
	if shared, err = c.noteClient(ctx, n, clientOf{f.tokenServiceURL, f.clientID, f.user}); err != nil {
		unlock()
		return "", nil, err
	}
	return shared, unlock, nil
}

func (c *core) noteClient(ctx context.Context, n nameOf, client clientOf) (shared string, err error) {
	codes := &c.codes
	codes.mu.Lock()
	of, most := codes.all[n.tenant], c.opts.Limits.AuthorizationCodes
	good := of != nil && time.Since(of.counted) < recount && !of.isFull(n.name, of.goodFor)
	codes.mu.Unlock()
	if !good {
		if of, err = c.count(ctx, n.tenant); err != nil {
			return "", err
		}
		if of.goodFor = most; most >= 0 {
			of.goodFor = len(of.clients) + max(most-len(of.clients), 0)/4
		}
	}
	codes.mu.Lock()
	defer codes.mu.Unlock()
	if of.isFull(n.name, most) {
		return "", fmt.Errorf("%w: the tenant has %d authorization codes: undeploy one, or raise Limits.AuthorizationCodes", ErrLimit, len(of.clients))
	}
	for name, other := range of.clients {
		if name != n.name && other == client {
			shared = name
		}
	}
	of.clients[n.name] = client
	if codes.all == nil {
		codes.all = map[string]*codesOf{}
	}
	codes.all[n.tenant] = of
	return shared, nil
}

// isFull reports whether the one of that name would be one too many.
func (o *codesOf) isFull(name string, most int) bool {
	_, known := o.clients[name]
	return !known && most >= 0 && len(o.clients) >= most
}

func (c *core) count(ctx context.Context, tenant string) (*codesOf, error) {
	of := &codesOf{counted: time.Now(), clients: map[string]clientOf{}}
	for r, err := range c.drv.List(ctx, tenant, artifactKind) {
		if err != nil && r.Kind == "" {
			return nil, err
		}
		if info := readArtifactInfo(r.Info); info.Type == typeAuthorizationCode {
			of.clients[r.Name] = clientOf{info.TokenServiceURL, info.ClientID, info.User}
		}
	}
	return of, nil
}

// forget notes that an artifact is gone.
func (c *codes) forget(n nameOf) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if of := c.all[n.tenant]; of != nil {
		delete(of.clients, n.name)
	}
}
