package facebook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Post is an entry of a profile.
type Post struct {
	ID           string `json:"id"`
	Message      string `json:"message"` // what was written; "" of a post without a text
	Story        string `json:"story"`   // what Facebook says about it, such as that somebody was tagged
	From         Ref    `json:"from"`
	PermalinkURL string `json:"permalink_url"`
	CreatedTime  Time   `json:"created_time"`
	UpdatedTime  Time   `json:"updated_time"`
}

// Comment is a comment on a post.
type Comment struct {
	ID          string `json:"id"`
	Message     string `json:"message"`
	From        Ref    `json:"from"` // empty where the token may not see it
	CreatedTime Time   `json:"created_time"`
}

// User is a user or a page.
type User struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Ref names a user or a page.
type Ref struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Time is a moment as Graph writes it, such as 2026-01-31T12:00:00+0000.
type Time struct{ time.Time }

// UnmarshalJSON reads Graph's form, and RFC 3339's.
func (t *Time) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	for _, layout := range []string{"2006-01-02T15:04:05-0700", time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil {
			t.Time = at
			return nil
		}
	}
	return errors.New("facebook: not a time")
}

// ListOptions narrow a list. Of each, the zero value is Graph's own.
type ListOptions struct {
	PageSize int       // entries for each request, 1 to 100; default 25
	Since    time.Time // the first moment
	Until    time.Time // the last
}

// Posts lists what a user or a page has published itself, latest first (GET /ID/posts; SAP's Get Posts). id may be "me", for
// the token's own. opts may be nil.
//
// As with all lists, an error is the last that is yielded; a page that was there before, a hundred empty ones in a row, and a
// link to another server are one. Each page is a request that counts: break off to ask for no more.
func (t *Transport) Posts(ctx context.Context, id string, opts *ListOptions) iter.Seq2[Post, error] {
	return list[Post](ctx, t, "Posts", id, "posts", postFields, opts)
}

// Feed lists what is on a user's or a page's profile, by others too, latest first (GET /ID/feed; SAP's Get Feeds). It is
// otherwise as [Transport.Posts].
func (t *Transport) Feed(ctx context.Context, id string, opts *ListOptions) iter.Seq2[Post, error] {
	return list[Post](ctx, t, "Feed", id, "feed", postFields, opts)
}

// PostComments lists the comments on a post (GET /POST-ID/comments; SAP's Get Post Comments). It is otherwise as
// [Transport.Posts].
func (t *Transport) PostComments(ctx context.Context, postID string, opts *ListOptions) iter.Seq2[Comment, error] {
	return list[Comment](ctx, t, "PostComments", postID, "comments", "id,message,from,created_time", opts)
}

const postFields = "id,message,story,from,permalink_url,created_time,updated_time"

// mostUsers is how many Graph tells in an answer.
const mostUsers = 50

// Users returns users and pages by their ids, in that order, asking for fifty at a time (GET /?ids=...; SAP's Get Users). An
// id may be "me", for the token's own. One that the token may not see fails the call.
func (t *Transport) Users(ctx context.Context, ids ...string) ([]User, error) {
	for _, id := range ids {
		if err := checkID("Users", id); err != nil {
			return nil, err
		}
	}
	users := make([]User, 0, len(ids))
	for start := 0; start < len(ids); start += mostUsers {
		some := ids[start:min(start+mostUsers, len(ids))]
		var found map[string]User
		u, err := t.url("/")
		if err != nil {
			return nil, err
		}
		u.RawQuery = url.Values{"ids": {strings.Join(some, ",")}, "fields": {"id,name"}}.Encode()
		if err := t.call(ctx, u, &found); err != nil {
			return nil, err
		}
		for _, id := range some {
			user, there := found[id]
			if !there {
				return nil, fmt.Errorf("facebook: Users: %s did not tell about the user %s", t.name, id)
			}
			users = append(users, user)
		}
	}
	return users, nil
}

var idForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.]{0,99}$`)

// checkID refuses what would be another path, or an operation.
func checkID(call, id string) error {
	if !idForm.MatchString(id) {
		return fmt.Errorf("facebook: %s: the id must be one of letters, digits, _ and .", call)
	}
	return nil
}

func (t *Transport) url(path string) (*url.URL, error) {
	if t.core == nil {
		return nil, errEmpty
	}
	return t.core().base.JoinPath(path), nil
}

func (o *ListOptions) params(call, fields string) (url.Values, error) {
	params := url.Values{"fields": {fields}}
	if o == nil {
		return params, nil
	}
	if o.PageSize < 0 || o.PageSize > 100 {
		return nil, fmt.Errorf("facebook: %s: PageSize: must be 1 to 100", call)
	}
	if o.PageSize != 0 {
		params.Set("limit", strconv.Itoa(o.PageSize))
	}
	for name, at := range map[string]time.Time{"since": o.Since, "until": o.Until} {
		if !at.IsZero() {
			params.Set(name, strconv.FormatInt(at.Unix(), 10))
		}
	}
	return params, nil
}
