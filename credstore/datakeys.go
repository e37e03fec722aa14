package credstore

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
)

// dataKeys are the keys that records are sealed with: one for each generation. The backend keeps them, each encrypted by a
// Keeper; here they are in memory. It is safe for concurrent use, and several processes may do everything at once.
type dataKeys struct {
	drv     driver.Store
	keepers []Keeper // the current one, then older ones
	ring    atomic.Pointer[keyring]

	turn   chan struct{}         // holds one while somebody loads or makes keys
	failed map[uint32]keyFailure // whoever has the turn; of generations that are there

	mu     sync.Mutex
	probed time.Time // when a stranger last made us look for a generation
}

// keyring is immutable.
type keyring struct {
	newest uint32
	keys   map[uint32][]byte
}

// keyFailure is remembered so that a Keeper that fails is left alone for a moment.
type keyFailure struct {
	err error
	at  time.Time
}

const (
	keyKind = "key"
	// keyPause is how long a Keeper is left alone after it failed, and how often strangers can make us look for a key.
	keyPause = time.Second
)

// keyInfo is a data key's Info, for people.
type keyInfo struct {
	Created time.Time `json:"created"`
}

// openKeys loads the data keys, and makes the first if there is none. The newest must be had. An older one that cannot be
// had fails the records that it sealed, when they are opened.
func openKeys(ctx context.Context, drv driver.Store, keeper Keeper, older []Keeper) (*dataKeys, error) {
	k := &dataKeys{drv: drv, keepers: slices.Concat([]Keeper{keeper}, older), turn: make(chan struct{}, 1), failed: map[uint32]keyFailure{}}
	if slices.Contains(k.keepers, nil) {
		return nil, errors.New("credstore: a Keeper is missing: LocalKeeper makes one with a key in a file")
	}
	k.ring.Store(&keyring{})
	if err := k.loadAll(ctx); err != nil {
		return nil, fmt.Errorf("credstore: %w", err)
	}
	return k, nil
}

func (k *dataKeys) loadAll(ctx context.Context) error {
	generations, err := k.generations(ctx)
	if err != nil {
		return err
	}
	for i, generation := range generations {
		if err := k.load(ctx, generation); err != nil && (i == 0 || ctx.Err() != nil) {
			return err
		}
	}
	if len(generations) > 0 {
		return nil
	}
	if err := k.checkEmpty(ctx); err != nil {
		return err
	}
	if err = k.create(ctx, 1); errors.Is(err, driver.ErrConflict) { // another process was first
		err = k.load(ctx, 1)
	}
	return err
}

// checkEmpty refuses a backend that has records and no data key: with a new key, none of them could ever be read.
func (k *dataKeys) checkEmpty(ctx context.Context) error {
	for _, kind := range []string{tenantKind, artifactKind, grantKind} {
		for r, err := range k.drv.List(ctx, "", kind) {
			if err != nil && r.Kind == "" {
				return fmt.Errorf("it cannot be told whether the store is empty: %w", err)
			}
			generations, err := k.generations(ctx) // another process may have made it meanwhile
			if err == nil && len(generations) == 0 {
				err = fmt.Errorf("the store has records of kind %q, and its data keys (records of kind %q) are missing: restore them from a backup; if there is none, deploy and authorize again in an empty store", kind, keyKind)
			}
			return err
		}
	}
	return nil
}

// current is the generation that records are sealed with.
func (k *dataKeys) current() uint32 { return k.ring.Load().newest }

// rotate has the current Keeper encrypt all data keys again, and then makes a new generation, which this process seals
// with from now on and others when they meet it. It changes no record: what older generations have sealed remains readable.
// It can be repeated. After an error the older Keepers are still needed.
func (k *dataKeys) rotate(ctx context.Context) error {
	if err := k.takeTurn(ctx); err != nil {
		return err
	}
	defer k.endTurn()
	if err := k.renew(ctx); err != nil {
		return fmt.Errorf("credstore: the keys are not rotated, or in part: %w", err)
	}
	return nil
}

func (k *dataKeys) renew(ctx context.Context) error {
	if err := k.rewrapAll(ctx); err != nil {
		return err
	}
	err := k.create(ctx, k.current()+1)
	if errors.Is(err, driver.ErrConflict) { // another process was first, perhaps with another Keeper
		err = k.rewrapAll(ctx)
	}
	return err
}

func (k *dataKeys) rewrapAll(ctx context.Context) error {
	generations, err := k.generations(ctx)
	if err != nil {
		return err
	}
	for _, generation := range generations {
		if err := k.rewrap(ctx, generation); err != nil {
			return err
		}
	}
	return nil
}

// key returns the data key of a generation. It looks for one that it does not know: another process may have made it. If
// there is none, the error matches driver.ErrNotFound.
func (k *dataKeys) key(ctx context.Context, generation uint32) ([]byte, error) {
	if key, known := k.ring.Load().keys[generation]; known {
		return key, nil
	}
	if err := k.takeTurn(ctx); err != nil {
		return nil, err
	}
	defer k.endTurn()
	if k.ring.Load().keys[generation] == nil {
		if f, failed := k.failed[generation]; failed && time.Since(f.at) < keyPause {
			return nil, f.err
		}
		if err := k.load(ctx, generation); err != nil {
			return nil, err
		}
	}
	return k.ring.Load().keys[generation], nil
}

// keyForStranger is key where anybody may have chosen the generation: it does not look for unknown ones each time.
func (k *dataKeys) keyForStranger(ctx context.Context, generation uint32) ([]byte, error) {
	if key, known := k.ring.Load().keys[generation]; known {
		return key, nil
	}
	k.mu.Lock()
	early := time.Since(k.probed) < keyPause
	if !early {
		k.probed = time.Now()
	}
	k.mu.Unlock()
	if early {
		return nil, driver.ErrNotFound
	}
	return k.key(ctx, generation)
}

func (k *dataKeys) takeTurn(ctx context.Context) error {
	select {
	case k.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (k *dataKeys) endTurn() { <-k.turn }

// generations returns those that the backend has, the newest first.
func (k *dataKeys) generations(ctx context.Context) ([]uint32, error) {
	var found []uint32
	for r, err := range k.drv.List(ctx, "", keyKind) {
		generation, ok := generationOfName(r.Name)
		if err != nil && !ok { // which key it is cannot be told: it may be the newest
			return nil, fmt.Errorf("the data keys cannot be read: %w%s", err, keyAdvice(err))
		}
		if ok {
			found = append(found, generation) // to read it will tell
		}
	}
	slices.Sort(found)
	slices.Reverse(found)
	return found, nil
}

func keyOf(generation uint32) driver.Key {
	return driver.Key{Kind: keyKind, Name: strconv.FormatUint(uint64(generation), 10)}
}

func generationOfName(name string) (uint32, bool) {
	generation, err := strconv.ParseUint(name, 10, 32)
	return uint32(generation), err == nil && generation > 0 && keyOf(uint32(generation)).Name == name
}

// create makes a generation. The error matches driver.ErrConflict if it is there.
func (k *dataKeys) create(ctx context.Context, generation uint32) error {
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails
	wrapped, err := k.wrap(ctx, generation, key)
	if err != nil {
		return err
	}
	info, err := json.Marshal(keyInfo{Created: time.Now().UTC().Truncate(time.Second)})
	if err != nil {
		return err
	}
	if _, err = k.drv.Put(ctx, driver.Record{Key: keyOf(generation), Info: info, Sealed: wrapped}, ""); err != nil {
		return fmt.Errorf("data key %d cannot be stored: %w", generation, err)
	}
	k.learn(generation, key)
	return nil
}

// load gets a data key from the backend and has it decrypted.
func (k *dataKeys) load(ctx context.Context, generation uint32) error {
	r, err := k.drv.Get(ctx, keyOf(generation))
	if err != nil {
		return fmt.Errorf("data key %d cannot be read: %w%s", generation, err, keyAdvice(err))
	}
	key, err := k.unwrap(ctx, generation, r.Sealed)
	if err != nil {
		return err
	}
	k.learn(generation, key)
	return nil
}

// keyAdvice says what to do about a data key that cannot be read.
func keyAdvice(err error) string {
	if errors.Is(err, driver.ErrDamaged) {
		return "; restore it from a backup, and do not delete it: what it has sealed is lost without it"
	}
	return ""
}

// rewrap has the current Keeper encrypt a data key, whoever did so far: whose key that was cannot be told, as a key
// management service decrypts with all of its keys.
func (k *dataKeys) rewrap(ctx context.Context, generation uint32) error {
	for {
		r, err := k.drv.Get(ctx, keyOf(generation))
		if err != nil {
			return fmt.Errorf("data key %d cannot be read: %w%s", generation, err, keyAdvice(err))
		}
		key, err := k.unwrap(ctx, generation, r.Sealed)
		if err != nil {
			return err
		}
		k.learn(generation, key)
		if r.Sealed, err = k.wrap(ctx, generation, key); err != nil {
			return err
		}
		if _, err = k.drv.Put(ctx, r, r.Version); err == nil {
			return nil
		}
		if !errors.Is(err, driver.ErrConflict) { // another process that rotates, too
			return fmt.Errorf("data key %d cannot be stored: %w", generation, err)
		}
	}
}

// learn adds a key to the ring. Whoever has the turn calls it.
func (k *dataKeys) learn(generation uint32, key []byte) {
	ring := k.ring.Load()
	keys := maps.Clone(ring.keys)
	if keys == nil {
		keys = map[uint32][]byte{}
	}
	keys[generation] = key
	k.ring.Store(&keyring{newest: max(ring.newest, generation), keys: keys})
	delete(k.failed, generation)
}
