package credstore

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
)

// ErrUnreadable: a record was changed, moved from another name, tenant or kind, belongs to another store, or its data key
// is gone. It stays so until somebody restores the record, or deploys and authorizes again. Other records are not concerned.
var ErrUnreadable = errors.New("cannot be read")

// A sealed text is
//
//	version (1 byte) | generation (4) | nonce (12) | ciphertext | tag (16)
//
// by AES-256-GCM. Its key is HKDF-SHA256 of the generation's data key, without salt, with the subject as info. Associated
// are version, generation, subject and, for a record, what else is kept with it. A subject is a list of fields, each with
// its length before it (4), that begins with what it is. Numbers are big-endian.
const (
	sealVersion = 1
	sealHeader  = 1 + 4
	sealNonce   = 12
	sealTag     = 16
)

const (
	recordLabel = "outgrant record 1" // tenant, kind, name
	valueLabel  = "outgrant value 1"  // purpose
)

// seal returns what Sealed of r is to be: r has everything else already, and its times are whole microseconds. open
// refuses it under another key, and with another Due, Expires or Info.
func (k *dataKeys) seal(r driver.Record, plain []byte) ([]byte, error) {
	if !r.Due.Equal(microseconds(r.Due)) || !r.Expires.Equal(microseconds(r.Expires)) {
		return nil, fmt.Errorf("credstore: %s has a time that is not in whole microseconds, which is all that backends keep", r.Key)
	}
	return k.sealAs(recordSubject(r.Key), associated(r), plain)
}

// open returns what was sealed. An error that does not match ErrUnreadable may pass.
func (k *dataKeys) open(ctx context.Context, r driver.Record) ([]byte, error) {
	plain, err := k.openAs(ctx, recordSubject(r.Key), associated(r), r.Sealed, k.key)
	if errors.Is(err, ErrUnreadable) {
		return nil, fmt.Errorf("credstore: %s %w; restore it from a backup, or deploy it, and authorize it, again", r.Key, err)
	}
	if err != nil {
		return nil, fmt.Errorf("credstore: %s %w", r.Key, err)
	}
	return plain, nil
}

// sealValue seals what is kept outside of the store, such as in a cookie. Each process that has the data keys can open it,
// for the same purpose.
func (k *dataKeys) sealValue(purpose string, plain []byte) ([]byte, error) {
	return k.sealAs(fields(valueLabel, purpose), nil, plain)
}

// openValue opens what sealValue returned; anybody may have made sealed. It is ErrUnreadable if somebody else did.
func (k *dataKeys) openValue(ctx context.Context, purpose string, sealed []byte) ([]byte, error) {
	plain, err := k.openAs(ctx, fields(valueLabel, purpose), nil, sealed, k.keyForStranger)
	if err != nil {
		return nil, fmt.Errorf("credstore: the %s %w", purpose, err)
	}
	return plain, nil
}

// generationOf returns the generation that a record was sealed with, or 0 if it is not sealed.
func generationOf(r driver.Record) uint32 {
	if len(r.Sealed) < sealHeader || r.Sealed[0] != sealVersion {
		return 0
	}
	return binary.BigEndian.Uint32(r.Sealed[1:])
}

// microseconds is a time as all backends keep it.
func microseconds(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func (k *dataKeys) sealAs(subject string, more, plain []byte) ([]byte, error) {
	ring := k.ring.Load()
	header := binary.BigEndian.AppendUint32([]byte{sealVersion}, ring.newest)
	key, err := derive(ring.keys[ring.newest], subject)
	if err != nil {
		return nil, err
	}
	sealed := make([]byte, sealHeader, sealHeader+sealNonce+len(plain)+sealTag)
	copy(sealed, header)
	return newAEAD(key).Seal(sealed, nil, plain, withHeader(header, subject, more)), nil
}

func (k *dataKeys) openAs(ctx context.Context, subject string, more, sealed []byte, find func(context.Context, uint32) ([]byte, error)) ([]byte, error) {
	switch {
	case len(sealed) < sealHeader+sealNonce+sealTag:
		return nil, fmt.Errorf("%w: it is empty or truncated", ErrUnreadable)
	case sealed[0] != sealVersion:
		return nil, fmt.Errorf("%w: it is damaged, or a newer version of outgrant wrote it", ErrUnreadable)
	}
	generation := binary.BigEndian.Uint32(sealed[1:])
	secret, err := find(ctx, generation)
	if errors.Is(err, driver.ErrNotFound) {
		return nil, fmt.Errorf("%w: there is no data key %d that it was sealed with", ErrUnreadable, generation)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot be read now: %w", err)
	}
	key, err := derive(secret, subject)
	if err != nil {
		return nil, err
	}
	plain, err := newAEAD(key).Open(nil, nil, sealed[sealHeader:], withHeader(sealed[:sealHeader], subject, more))
	if err != nil {
		return nil, fmt.Errorf("%w: it was changed or moved, or belongs to another store", ErrUnreadable)
	}
	return plain, nil
}

func derive(secret []byte, subject string) ([]byte, error) {
	return hkdf.Key(sha256.New, secret, nil, subject, keySize)
}

func recordSubject(k driver.Key) string { return fields(recordLabel, k.Tenant, k.Kind, k.Name) }

// associated is what else a record keeps: the times in microseconds since 1970, and Info.
func associated(r driver.Record) []byte {
	b := make([]byte, 0, 8+8+len(r.Info))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Due.UnixMicro()))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Expires.UnixMicro()))
	return append(b, r.Info...)
}

func withHeader(header []byte, subject string, more []byte) []byte {
	b := make([]byte, 0, len(header)+len(subject)+len(more))
	return append(append(append(b, header...), subject...), more...)
}

func fields(parts ...string) string {
	var b []byte
	for _, part := range parts {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(part))), part...)
	}
	return string(b)
}
