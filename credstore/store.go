package credstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
	"github.com/outgrant/outgrant/internal/display"
)

// Errors to compare with by errors.Is.
var (
	// ErrNotFound: there is no artifact of that name.
	ErrNotFound = errors.New("there is no such artifact")
	// ErrLimit: the tenant has as many artifacts of the type as it may have.
	ErrLimit = errors.New("the limit is reached")
	// ErrChanged: what is deployed is not any more what the caller has seen.
	ErrChanged = errors.New("it was changed meanwhile: look at what is deployed now, and do it again if it is to be replaced")

	errClosed = errors.New("credstore: the store is closed")

	// errUnavailable: it cannot be told what is stored. It may pass.
	errUnavailable = errors.New("the store cannot be read now")
)

func unavailable(err error) error { return fmt.Errorf("%w: %w", errUnavailable, err) }

// Store keeps the credentials of one tenant: that of [Store.Tenant], or the default tenant "". All views of a store share
// its engines. It is safe for concurrent use. It prints its tenant, and nothing else.
type Store struct {
	*core
	tenant string
	who    string // who uses it, as told to As
}

// core is what the views of a store share.
type core struct {
	drv  *backend
	keys *dataKeys
	opts *Options

	changes atomic.Uint64 // of this process: each may concern any engine
	feed    feed
	clock   clock
	codes   codes
	notes   notes

	life    context.Context // of what goes on by itself
	end     context.CancelFunc
	running sync.WaitGroup // what has begun before
	over    chan struct{}  // closed when Close has ended
	lost    error          // what it returned; set before

	mu          sync.RWMutex
	credentials map[nameOf]*credential
	closed      bool // nothing begins any more
}

// nameOf names an artifact in all tenants.
type nameOf struct{ tenant, name string }

const openTimeout = time.Minute

// Open opens a store on a backend, which it closes when it is closed; if Open fails, drv stays open. opts must have a Keeper.
// Where the backend is empty, a key is made. Open waits for the backend and the Keeper: up to a minute.
func Open(drv driver.Store, opts *Options) (*Store, error) {
	if drv == nil {
		return nil, errors.New("credstore: Open: the driver is nil")
	}
	o := opts.withDefaults()
	if o.Keeper == nil {
		return nil, errors.New("credstore: Options.Keeper: missing: LocalKeeper has its key in a file, EnvKeeper in the environment, and any key management service will do")
	}
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	b := newBackend(drv)
	keys, err := openKeys(ctx, b, o.Keeper, o.OlderKeepers)
	if err != nil {
		return nil, err
	}
	c := &core{drv: b, keys: keys, opts: o, over: make(chan struct{}), credentials: map[nameOf]*credential{}}
	c.life, c.end = context.WithCancel(context.Background())
	c.feed.next = b.follow()
	c.feed.asked.Store(math.MinInt64)
	c.clock.of, _ = drv.(driver.Clock)
	if listener, ok := drv.(driver.Listener); ok {
		c.listen(listener)
	}
	c.notes = notes{wake: make(chan struct{}, 1), all: map[nameOf]*noted{}}
	if o.History {
		c.running.Go(c.keepNotes)
	}
	return &Store{core: c}, nil
}

// Tenant returns the view of a tenant: its artifacts and no others. "" is the default tenant. It asks nobody; a tenant
// exists when something is deployed in it. An id is any UTF-8 text without NUL, up to 1,024 bytes; with another one all
// methods fail.
func (s *Store) Tenant(id string) *Store { return &Store{core: s.core, tenant: id, who: s.who} }

// TenantID returns the tenant of the view; "" is the default tenant.
func (s *Store) TenantID() string { return s.tenant }

// As returns the view of somebody who is known by a name, such as that of an operator's login: what is done through it is
// told to be theirs, in each [Event] and in [Info]. It checks nothing: who may do what is for the caller to decide.
func (s *Store) As(who string) *Store {
	return &Store{core: s.core, tenant: s.tenant, who: display.Line(who, 200)}
}

// Close waits until what is under way has ended, and closes the backend. A refresh is waited for until its tokens are
// stored: as long as a request to a token service may take, and ten seconds. A short job that exits without Close can lose an
// authorization. It closes all views. Sources of authorization codes serve the tokens that they have in memory, and other
// sources go on with what was deployed last; all else fails from then on. Further calls wait, too, and return the same.
func (s *Store) Close() error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	if first {
		s.lost = s.core.close()
		close(s.over)
	}
	<-s.over
	return s.lost
}

// closePatience is how long Close waits for what is no refresh.
const closePatience = 30 * time.Second

func (c *core) close() error {
	c.end()
	waitAtMost(closePatience, &c.running)
	credentials := c.inMemory()
	errs := make([]error, len(credentials)+1)
	var closing sync.WaitGroup
	for i, one := range credentials {
		closing.Go(func() { errs[i] = one.Close() })
	}
	closing.Wait()
	c.storeLastNotes()
	errs[len(credentials)] = c.drv.Close()
	return errors.Join(errs...)
}

func waitAtMost(d time.Duration, wait *sync.WaitGroup) {
	over := make(chan struct{})
	go func() {
		wait.Wait()
		close(over)
	}()
	patience := time.NewTimer(d)
	defer patience.Stop()
	select {
	case <-over:
	case <-patience.C:
	}
}

// begin is that of core, for a tenant that there can be.
func (s *Store) begin() error {
	if err := s.name("any").key(artifactKind).Check(); err != nil {
		return fmt.Errorf("credstore: a tenant cannot be called that: %w", err)
	}
	return s.core.begin()
}

// begin lets something begin, unless the store is closed. Who is done calls running.Done.
func (c *core) begin() error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.closed {
		return errClosed
	}
	c.running.Add(1)
	return nil
}

// The kinds of records.
const (
	artifactKind = "artifact"
	grantKind    = "grant"  // of an authorization code: what the user's consent gave
	tenantKind   = "tenant" // in the default tenant: which tenants there are
	attemptKind  = "attempt"
	turnsKind    = "turns"    // in the default tenant, of a token service: when the job may send it a request
	historyKind  = "history"  // of an artifact: what has happened to it
	tokenKind    = "token"    // an access token that processes share
	rejectedKind = "rejected" // of an artifact: which of these tokens receivers have rejected
)

// get returns a record with what is sealed in it.
func (c *core) get(ctx context.Context, k driver.Key) (driver.Record, []byte, error) {
	if err := k.Check(); err != nil {
		return driver.Record{Key: k}, nil, fmt.Errorf("%w: %w", driver.ErrNotFound, err)
	}
	r, err := c.drv.Get(ctx, k)
	switch {
	case errors.Is(err, driver.ErrNotFound):
		return driver.Record{Key: k}, nil, err
	case errors.Is(err, driver.ErrDamaged):
		return driver.Record{Key: k}, nil, damaged(k, err)
	case err != nil:
		return driver.Record{Key: k}, nil, unavailable(err)
	}
	plain, err := c.keys.open(ctx, r)
	if err != nil && !errors.Is(err, ErrUnreadable) {
		err = unavailable(err)
	}
	return r, plain, err
}

// damaged says what to do about a record that is not what was written.
func damaged(k driver.Key, err error) error {
	return fmt.Errorf("credstore: %s %w: %w; restore it from a backup, or deploy it, and authorize it, again", k, ErrUnreadable, err)
}

// put seals a record and writes it in place of the one with the version ifVersion; "": of none.
func (c *core) put(ctx context.Context, r driver.Record, plain []byte, ifVersion string) (version string, err error) {
	r.Due, r.Expires = microseconds(r.Due), microseconds(r.Expires)
	for newer := ifVersion == ""; newer; { // whoever replaces a record has met its key
		_, err := c.keys.key(ctx, c.keys.current()+1)
		newer = err == nil
	}
	if r.Sealed, err = c.keys.seal(r, plain); err != nil {
		return "", err
	}
	return c.drv.Put(ctx, r, ifVersion)
}

// clear removes a record if err says that it is damaged: another one can be put there then.
func (c *core) clear(ctx context.Context, k driver.Key, err error) error {
	if !errors.Is(err, driver.ErrDamaged) {
		return nil
	}
	if err := c.drv.Delete(ctx, k, ""); !errors.Is(err, driver.ErrNotFound) {
		return err
	}
	return nil
}

// failure is an error about an artifact.
func (n nameOf) failure(err error) error {
	if errors.Is(err, driver.ErrNotFound) {
		err = ErrNotFound
	}
	return fmt.Errorf("credstore: %s: %w", n, err)
}

func (n nameOf) String() string {
	text := strconv.Quote(display.Line(n.name, 100))
	if n.tenant != "" {
		text += " of tenant " + strconv.Quote(display.Line(n.tenant, 100))
	}
	return text
}

func (s *Store) name(name string) nameOf { return nameOf{s.tenant, name} }

func (n nameOf) key(kind string) driver.Key {
	return driver.Key{Tenant: n.tenant, Kind: kind, Name: n.name}
}

func (s *Store) String() string { return fmt.Sprintf("credstore.Store(tenant %q)", s.tenant) }

// Format prints the tenant, for every verb and flag.
func (s *Store) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue logs the tenant.
func (s *Store) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON encodes the tenant.
func (s *Store) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }
