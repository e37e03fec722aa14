package adapters

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/outgrant/outgrant"
)

// Sources say whose tokens the requests of an adapter carry: those of Source, or, for each request, those that Users has
// for whom User names.
type Sources struct {
	Source   outgrant.TokenSource
	Users    outgrant.UserSource
	User     func(*http.Request) (string, error)
	AnyGrant bool
}

// longestUser bounds the names of users, in bytes: what is longer is no name, and adapters keep it with a session.
const longestUser = 1024

// SourceFor returns a function that finds the user and the token source of a request; the user is "" with Source, and
// never with Users: an empty name is [outgrant.ErrUserRequired], one of more than 1,024 bytes is refused. Both SourceFor
// and the function refuse a grant that the adapter does not take, as [Adapter.Check] does. The function is safe for
// concurrent use if User is.
func (a Adapter) SourceFor(s Sources) (func(*http.Request) (user string, src outgrant.TokenSource, err error), error) {
	switch {
	case (s.Users == nil) != (s.User == nil):
		return nil, errors.New("Users and User go together: set both or neither")
	case s.Source != nil && s.Users != nil:
		return nil, errors.New("both a source and Users: leave the source nil to act for users")
	case s.Source == nil && s.Users == nil:
		return nil, errors.New("the source is nil, and there are no Users")
	case s.Users != nil:
		return s.forUser(a), a.CheckUsers(s.Users, s.AnyGrant)
	}
	return func(*http.Request) (string, outgrant.TokenSource, error) { return "", s.Source, nil }, a.Check(s.Source, s.AnyGrant)
}

func (s Sources) forUser(a Adapter) func(*http.Request) (string, outgrant.TokenSource, error) {
	return func(req *http.Request) (string, outgrant.TokenSource, error) {
		user, err := s.User(req)
		switch {
		case err != nil:
			return "", nil, fmt.Errorf("the user of the request: %w", err)
		case user == "": // whatever the source makes of it: never the technical client
			return "", nil, outgrant.ErrUserRequired
		case len(user) > longestUser:
			return "", nil, fmt.Errorf("the user of the request: the name has %d bytes, and at most %d are taken", len(user), longestUser)
		}
		src := s.Users.ForUser(user)
		if src == nil {
			return "", nil, errors.New("the user source has no token source for this user")
		}
		return user, src, a.Check(src, s.AnyGrant)
	}
}
