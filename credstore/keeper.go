package credstore

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
)

// Keeper encrypts with a key that it keeps: in a cloud's key management service, a file, an environment variable. It
// protects the keys that a store seals its records with; it is asked when the store opens and when keys rotate, and never
// while a token is needed. A *secrets.Keeper of gocloud.dev is one as it is.
//
// It must be safe for concurrent use, and Decrypt must fail for what the Keeper's key did not encrypt. Who loses the key
// loses what is in the store.
type Keeper interface {
	Encrypt(ctx context.Context, plaintext []byte) ([]byte, error)
	Decrypt(ctx context.Context, ciphertext []byte) ([]byte, error)
}

// EnvKeeper returns a Keeper whose key is in the environment variable of that name: 32 random bytes in base64, as
// "openssl rand -base64 32" makes them, or the text of a key file. The variable is read here and not again. It prints the
// variable's name and nothing else.
func EnvKeeper(name string) (Keeper, error) {
	text, set := os.LookupEnv(name)
	if !set || strings.TrimSpace(text) == "" {
		return nil, fmt.Errorf("credstore: the environment variable %q is not set: set it to 32 random bytes in base64, "+
			"as made by: openssl rand -base64 32; and keep a copy, as the store cannot be read without it", name)
	}
	aead, ok := parseKey(text)
	if !ok {
		return nil, fmt.Errorf("credstore: the environment variable %q does not hold a key, which is 32 bytes in base64: "+
			"correct it; if there is no store yet, a key is made by: openssl rand -base64 32", name)
	}
	return localKeeper{
		name: fmt.Sprintf("credstore.EnvKeeper(%q)", name),
		key:  fmt.Sprintf("the key in the environment variable %q", name),
		aead: func(bool) (cipher.AEAD, error) { return aead, nil },
	}, nil
}

// localKeeper has its key in this process.
type localKeeper struct {
	name string // as it is printed
	key  string // as errors call it

	// aead returns the cipher, and may make the key if there is none. A func, as fmt does not look into one.
	aead func(mayMake bool) (cipher.AEAD, error)
}

// What it encrypts is a version, a nonce, the ciphertext and its tag.
const localVersion = 1

var localLabel = []byte("outgrant keeper 1")

func (k localKeeper) Encrypt(ctx context.Context, plaintext []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	aead, err := k.aead(true)
	if err != nil {
		return nil, err
	}
	return aead.Seal([]byte{localVersion}, nil, plaintext, localLabel), nil
}

func (k localKeeper) Decrypt(ctx context.Context, ciphertext []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	aead, err := k.aead(false)
	if err != nil {
		return nil, err
	}
	if len(ciphertext) == 0 || ciphertext[0] != localVersion {
		return nil, errors.New(k.key + " did not encrypt this, or it is damaged")
	}
	plaintext, err := aead.Open(nil, nil, ciphertext[1:], localLabel)
	if err != nil {
		return nil, errors.New(k.key + " is not the one that encrypted this, or it is damaged")
	}
	return plaintext, nil
}

// String returns where the key is.
func (k localKeeper) String() string { return k.name }

// Format prints where the key is and nothing else, for every verb and flag.
func (k localKeeper) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.name) }

// LogValue logs where the key is and nothing else.
func (k localKeeper) LogValue() slog.Value { return slog.StringValue(k.name) }

// MarshalJSON encodes where the key is and nothing else.
func (k localKeeper) MarshalJSON() ([]byte, error) { return json.Marshal(k.name) }

const (
	keySize = 32
	// keyPrefix tells people, and programs that search for secrets, what a key is.
	keyPrefix = "outgrant-key-1:"
)

// printKey is a key as it is kept in a file.
func printKey(key []byte) string { return keyPrefix + base64.StdEncoding.EncodeToString(key) + "\n" }

// parseKey takes what printKey returns, also without the prefix, and with other white space around it.
func parseKey(text string) (cipher.AEAD, bool) {
	key, err := base64.StdEncoding.Strict().DecodeString(strings.TrimPrefix(strings.TrimSpace(text), keyPrefix))
	if err != nil || len(key) != keySize {
		return nil, false
	}
	return newAEAD(key), true
}

// newAEAD returns AES-256-GCM that puts a random nonce before what it seals. The key has 32 bytes.
func newAEAD(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("credstore: " + err.Error()) // the size is wrong, which is ours
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("credstore: " + err.Error())
	}
	return aead
}
