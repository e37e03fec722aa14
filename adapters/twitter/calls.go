package twitter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/outgrant/outgrant/internal/restcall"
)

// Tweet is a post.
type Tweet struct {
	ID        string    `json:"id"`
	Text      string    `json:"text"`
	AuthorID  string    `json:"author_id"`  // "" of one that was just sent
	CreatedAt time.Time `json:"created_at"` // zero of one that was just sent
}

// DirectMessage is where a message that was sent is.
type DirectMessage struct {
	ConversationID string `json:"dm_conversation_id"`
	EventID        string `json:"dm_event_id"`
}

// SearchOptions narrow a search. Of each, the zero value is the API's own.
type SearchOptions struct {
	PageSize  int       // posts for each request, 10 to 100; default 10
	SinceID   string    // only later posts
	UntilID   string    // only earlier ones
	StartTime time.Time // the first moment
	EndTime   time.Time // the moment after the last
}

// SendTweet posts a text (POST /2/tweets).
func (t *Transport) SendTweet(ctx context.Context, text string) (Tweet, error) {
	if strings.TrimSpace(text) == "" {
		return Tweet{}, errors.New("twitter: SendTweet: the text is empty")
	}
	var sent struct{ Data Tweet }
	err := t.call(ctx, http.MethodPost, nil, map[string]string{"text": text}, &sent, "2", "tweets")
	if err == nil && sent.Data.ID == "" {
		err = fmt.Errorf("twitter: SendTweet: %s did not tell the id of what it took", t.name)
	}
	return sent.Data, err
}

// SendDirectMessage sends a text to the account with this id (POST /2/dm_conversations/with/ID/messages).
func (t *Transport) SendDirectMessage(ctx context.Context, participantID, text string) (DirectMessage, error) {
	switch {
	case !numeric.MatchString(participantID):
		return DirectMessage{}, errors.New("twitter: SendDirectMessage: the participant's id must be a number, not a name")
	case strings.TrimSpace(text) == "":
		return DirectMessage{}, errors.New("twitter: SendDirectMessage: the text is empty")
	}
	var sent struct{ Data DirectMessage }
	err := t.call(ctx, http.MethodPost, nil, map[string]string{"text": text}, &sent, "2", "dm_conversations", "with", participantID, "messages")
	if err == nil && sent.Data.EventID == "" {
		err = fmt.Errorf("twitter: SendDirectMessage: %s did not tell the id of what it took", t.name)
	}
	return sent.Data, err
}

var numeric = regexp.MustCompile(`^[0-9]{1,19}$`)

// mostEmpty bounds how many pages without anything are asked for in a row.
const mostEmpty = 100

// Search finds posts of the last seven days, latest first, page after page (GET /2/tweets/search/recent); query is in X's
// syntax, such as "from:SAP -is:retweet". opts may be nil. An error is the last that is yielded; a page that was there
// before, and a hundred empty ones in a row, are one. Each page is a request that counts: break off to ask for no more.
func (t *Transport) Search(ctx context.Context, query string, opts *SearchOptions) iter.Seq2[Tweet, error] {
	return func(yield func(Tweet, error) bool) {
		params, err := searchParams(query, opts)
		if err != nil {
			yield(Tweet{}, err)
			return
		}
		seen := map[string]bool{}
		for empty := 0; ; {
			var page struct {
				Data []Tweet
				Meta struct {
					NextToken string `json:"next_token"`
				}
			}
			if err := t.call(ctx, http.MethodGet, params, nil, &page, "2", "tweets", "search", "recent"); err != nil {
				yield(Tweet{}, err)
				return
			}
			for _, tweet := range page.Data {
				if !yield(tweet, nil) {
					return
				}
			}
			next := page.Meta.NextToken
			if empty++; len(page.Data) > 0 {
				empty = 0
			}
			switch {
			case next == "":
				return
			case seen[next] || empty == mostEmpty:
				yield(Tweet{}, fmt.Errorf("twitter: Search: %s leads to pages without end", t.name))
				return
			}
			seen[next] = true
			params.Set("next_token", next)
		}
	}
}

func searchParams(query string, opts *SearchOptions) (url.Values, error) {
	if strings.TrimSpace(query) == "" {
		return nil, errors.New("twitter: Search: the query is empty")
	}
	params := url.Values{"query": {query}, "tweet.fields": {"author_id,created_at"}}
	if opts == nil {
		return params, nil
	}
	if opts.PageSize != 0 && (opts.PageSize < 10 || opts.PageSize > 100) {
		return nil, errors.New("twitter: Search: PageSize: must be 10 to 100")
	}
	if opts.PageSize != 0 {
		params.Set("max_results", strconv.Itoa(opts.PageSize))
	}
	for name, value := range map[string]string{"since_id": opts.SinceID, "until_id": opts.UntilID} {
		if value != "" {
			params.Set(name, value)
		}
	}
	for name, at := range map[string]time.Time{"start_time": opts.StartTime, "end_time": opts.EndTime} {
		if !at.IsZero() {
			params.Set(name, at.UTC().Format("2006-01-02T15:04:05Z"))
		}
	}
	return params, nil
}

// call makes a call and reads a success.
func (t *Transport) call(ctx context.Context, method string, params url.Values, body, into any, path ...string) error {
	if t.core == nil {
		return errEmpty
	}
	u := t.core().base.JoinPath(path...)
	u.RawQuery = params.Encode()
	answer, err := restcall.Do(ctx, t, method, u, body)
	if err != nil {
		return fmt.Errorf("twitter: %w", err)
	}
	var shape struct{ Data, Meta *json.RawMessage }                                               // nil: none, or null
	if !answer.OK() || (answer.Decode(&shape) == nil && shape.Data == nil && shape.Meta == nil) { // a success without any is none
		return errorOf(answer)
	}
	if err := answer.Decode(into); err != nil {
		return fmt.Errorf("twitter: %w", err)
	}
	return nil
}
