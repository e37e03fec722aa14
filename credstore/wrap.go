package credstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// What a Keeper encrypts is a data key and a check of it: not every Keeper notices what it should not decrypt, and none
// knows which generation it is asked for.

const wrapLabel = "outgrant data key 1"

func withCheck(generation uint32, key []byte) []byte {
	check := sha256.New()
	check.Write(binary.BigEndian.AppendUint32([]byte(wrapLabel), generation))
	check.Write(key)
	return check.Sum(bytes.Clone(key))
}

// wrap has the current Keeper encrypt a data key, and makes sure that it can be had back.
func (k *dataKeys) wrap(ctx context.Context, generation uint32, key []byte) ([]byte, error) {
	plain := withCheck(generation, key)
	sealed, err := k.keepers[0].Encrypt(ctx, plain)
	if err != nil {
		return nil, fmt.Errorf("the Keeper cannot encrypt data key %d: %w", generation, err)
	}
	back, err := k.keepers[0].Decrypt(ctx, sealed)
	if err != nil {
		return nil, fmt.Errorf("the Keeper cannot decrypt what it encrypted; let it do both: %w", err)
	}
	if !bytes.Equal(back, withCheck(generation, key)) {
		return nil, errors.New("the Keeper decrypts to something else than it encrypted: it cannot be used")
	}
	return sealed, nil
}

// unwrap has the first Keeper that can decrypt a data key. Whoever has the turn calls it.
func (k *dataKeys) unwrap(ctx context.Context, generation uint32, sealed []byte) ([]byte, error) {
	var causes error
	for i, keeper := range k.keepers {
		plain, err := keeper.Decrypt(ctx, sealed)
		if err == nil {
			if key := plain[:min(keySize, len(plain))]; bytes.Equal(plain, withCheck(generation, key)) {
				return bytes.Clone(key), nil
			}
			err = errors.New("it decrypts to something else than this key")
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("data key %d cannot be decrypted: %w: %w", generation, ctx.Err(), err)
		}
		causes = alsoFailed(causes, i, err)
	}
	err := fmt.Errorf("data key %d cannot be decrypted: %w; if this lasts, restore the Keeper's key (file, variable, key of a "+
		"key management service) from a backup, or name its Keeper in Options.OlderKeepers; if the key is lost, so is "+
		"what it protects: deploy and authorize again in an empty store", generation, causes)
	k.failed[generation] = keyFailure{err, time.Now()}
	return nil, err
}

func alsoFailed(causes error, i int, err error) error {
	if causes == nil {
		return fmt.Errorf("the Keeper: %w", err)
	}
	return fmt.Errorf("%w; older Keeper %d: %w", causes, i, err)
}
