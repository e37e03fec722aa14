package credstore

import (
	"context"

	"github.com/outgrant/outgrant/credstore/driver"
)

type DataKeys = dataKeys

const KeyPause = keyPause

var (
	OpenKeys     = openKeys
	GenerationOf = generationOf
	Microseconds = microseconds
)

func (k *dataKeys) Seal(r driver.Record, plain []byte) ([]byte, error) { return k.seal(r, plain) }
func (k *dataKeys) Current() uint32                                    { return k.current() }
func (k *dataKeys) Rotate(ctx context.Context) error                   { return k.rotate(ctx) }

func (k *dataKeys) Open(ctx context.Context, r driver.Record) ([]byte, error) {
	return k.open(ctx, r)
}

func (k *dataKeys) SealValue(purpose string, plain []byte) ([]byte, error) {
	return k.sealValue(purpose, plain)
}

func (k *dataKeys) OpenValue(ctx context.Context, purpose string, sealed []byte) ([]byte, error) {
	return k.openValue(ctx, purpose, sealed)
}

// SecretOf returns the data key of a generation, to look for it.
func SecretOf(k *dataKeys, generation uint32) []byte { return k.ring.Load().keys[generation] }
