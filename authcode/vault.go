package authcode

import (
	"context"
	"errors"

	"github.com/outgrant/outgrant"
)

// ErrUnreadable is the error of a [Vault] whose authorization is there and cannot be read any more: it is damaged, or its key
// is lost. Another consent takes its place.
var ErrUnreadable = errors.New("the stored authorization cannot be read: restore it from a backup, or authorize again")

// Vault is where authorizations live, by the credential's name. It is safe for concurrent use, and shared by all processes
// that use the credential. Package credstore has one that lasts; [NewMemoryVault] has one for tests.
//
// Errors other than [ErrUnreadable] are taken for temporary: the call is made again later.
type Vault interface {
	// Load returns the authorization: the zero value, and no error, if there is none.
	Load(ctx context.Context, name string) (Authorization, error)

	// Lock waits until it holds the lock of the name, or ctx ends. Whoever refreshes holds it: it excludes all others in
	// all processes, goroutines of this one included, but keeps nobody from Load and Save.
	Lock(ctx context.Context, name string) (VaultLock, error)

	// Save writes next if the stored refresh token is spent still, and returns what is stored then: next, or else the
	// authorization that won, unchanged: the zero value if there is none any more. As long as the stored refresh token is
	// spent, Save overcomes other changes of the record. "" stands for no refresh token, whether there is a record or not, and for
	// an authorization that cannot be read.
	//
	// When Save has returned without an error, what it returned survives the end of the process and of the machine.
	Save(ctx context.Context, name string, spent outgrant.Secret, next Authorization) (Authorization, error)
}

// VaultLock is a lock that is held.
type VaultLock interface {
	// Lost returns a channel that is closed when the lock is lost before Unlock: somebody else may hold it then. It is nil
	// if that cannot happen while the process lives. So whoever takes a lock whose Lost is nil knows that the holder
	// before has let it go, or has ended.
	Lost() <-chan struct{}

	// Unlock lets the lock go. Further calls do nothing.
	Unlock() error
}
