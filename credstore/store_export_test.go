package credstore

import (
	"context"

	"github.com/outgrant/outgrant/credstore/driver"
)

// StoreText stores a text in place of an artifact, sealed as an artifact is.
func StoreText(ctx context.Context, s *Store, name, text string) {
	r, _, err := s.get(ctx, s.name(name).key(artifactKind))
	if err == nil {
		_, err = s.put(ctx, driver.Record{Key: r.Key, Info: r.Info}, []byte(text), r.Version)
	}
	if err != nil {
		panic(err)
	}
}

// CauseOf is what histories say of an error.
func CauseOf(err error) string { return causeOf(err) }

// NoteConsent notes how an authorization has ended.
func NoteConsent(s *Store, name string, err error) {
	s.noteConsent(nil, s.name(name).idFor(s.who), err)
}
