package facebook

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"

	"github.com/outgrant/outgrant/internal/graphapi"
	"github.com/outgrant/outgrant/internal/origin"
	"github.com/outgrant/outgrant/internal/restcall"
)

// mostEmpty bounds how many pages without anything are asked for in a row.
const mostEmpty = 100

// list yields the entries of an edge, page after page.
func list[T any](ctx context.Context, t *Transport, call, id, edge, fields string, opts *ListOptions) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		u, err := firstPage(t, call, id, edge, fields, opts)
		if err != nil {
			yield(none, err)
			return
		}
		seen := map[string]bool{}
		for empty := 0; u != nil; {
			seen[u.String()] = true
			var page struct {
				Data   []T
				Paging struct{ Next string }
			}
			err := t.call(ctx, u, &page)
			if err == nil {
				for _, entry := range page.Data {
					if !yield(entry, nil) {
						return
					}
				}
				u, err = t.next(u, page.Paging.Next)
			}
			if empty++; len(page.Data) > 0 {
				empty = 0
			}
			if err == nil && u != nil && (seen[u.String()] || empty == mostEmpty) {
				err = fmt.Errorf("facebook: %s: %s leads to pages without end", call, t.name)
			}
			if err != nil {
				yield(none, err)
				return
			}
		}
	}
}

func firstPage(t *Transport, call, id, edge, fields string, opts *ListOptions) (*url.URL, error) {
	if err := checkID(call, id); err != nil {
		return nil, err
	}
	params, err := opts.params(call, fields)
	if err != nil {
		return nil, err
	}
	u, err := t.url(id + "/" + edge)
	if err == nil {
		u.RawQuery = params.Encode()
	}
	return u, err
}

// next reads the link to the next page. Graph puts the token and its proof into it; they belong into no URL that anybody
// gets to see. There is none after the last page: nil.
func (t *Transport) next(page *url.URL, link string) (*url.URL, error) {
	if link == "" {
		return nil, nil
	}
	u, err := page.Parse(link)
	if err != nil {
		return nil, fmt.Errorf("facebook: %s has a link to a next page that is not a URL", t.name)
	}
	if !origin.Same(u, page) || u.User != nil || u.Opaque != "" {
		return nil, fmt.Errorf("facebook: %s has a link to a next page at another server, which is not followed", t.name)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("facebook: %s has a link to a next page that is not a URL", t.name)
	}
	query.Del(graphapi.AccessToken)
	query.Del(graphapi.Proof)
	u.RawQuery, u.Fragment, u.RawFragment = query.Encode(), "", ""
	return u, nil
}

// call makes a call and reads a success.
func (t *Transport) call(ctx context.Context, u *url.URL, into any) error {
	answer, err := restcall.Do(ctx, t, http.MethodGet, u, nil)
	if err != nil {
		return fmt.Errorf("facebook: %w", err)
	}
	var failure struct{ Error *json.RawMessage }                                  // nil: none, or null
	if !answer.OK() || (answer.Decode(&failure) == nil && failure.Error != nil) { // an error in a 200 is one
		return errorOf(answer)
	}
	if err := answer.Decode(into); err != nil {
		return fmt.Errorf("facebook: %w", err)
	}
	return nil
}
