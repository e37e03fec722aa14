package postgres

import (
	"context"
	"errors"
	"fmt"
)

// What the database may say (PostgreSQL, appendix A).
const (
	lockNotAvailable      = "55P03"
	insufficientPrivilege = "42501"
	readOnly              = "25006"
	undefinedTable        = "42P01"
	invalidSchema         = "3F000"
	adminShutdown         = "57P01"
	crashShutdown         = "57P02"
)

// sqlState returns what the database said, as the usual drivers tell it; "" if it did not come to that.
func sqlState(err error) string {
	var told interface{ SQLState() string }
	if errors.As(err, &told) {
		return told.SQLState()
	}
	return ""
}

// read reads by f. When the server was restarted, connections that wait in the pool have ended, and each says so to who uses it
// first: reading is done again then. So is claiming: what was claimed and not told is free again when the claim ends.
func (s *Store) read(f func() error) (err error) {
	for range s.db.Stats().OpenConnections + 1 {
		err = f()
		if state := sqlState(err); state != adminShutdown && state != crashShutdown {
			return err
		}
	}
	return err
}

// failure says what could not be done in a call, and what to do about it; nil if there is no error. A call that its context
// has ended says just that: drivers have words of their own for it.
func failure(ctx context.Context, what string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	advice := ""
	switch sqlState(err) {
	case insufficientPrivilege:
		advice = "; the role lacks a right: grant it USAGE of the schema and SELECT, INSERT, UPDATE and DELETE of its tables record and lock"
	case readOnly:
		advice = "; the database takes no writes: connect to the primary server, with a role that may write"
	case undefinedTable, invalidSchema:
		advice = "; the schema is not there: call Migrate first"
	}
	return fmt.Errorf("postgres: cannot %s: %w%s", what, err, advice)
}
