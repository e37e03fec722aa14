package odata

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/outgrant/outgrant/internal/display"
	"github.com/outgrant/outgrant/internal/origin"
)

// Page is a page of a collection.
type Page[T any] struct {
	Items     []T
	Count     int64  // of the whole collection, where it was asked for; -1: not said
	DeltaLink string // where to ask for later changes, as the service wrote it; "": not said
}

const longestPage = 64 << 20

// Pages yields the pages of a collection, V2 or V4, from a URL on: it gets each by client, and follows __next,
// @odata.nextLink or @nextLink. T is what an entity is decoded into by encoding/json; [json.RawMessage] takes it as it is.
//
// It ends after the last page, or with one error: what ctx ended with, an answer that is an error (an [*Error]), one that
// is not a page or has more than 64 MiB, a link that leads to another origin than the first URL's, which is never followed
// and so never sees a token, or one that leads back to a page that was there. Each range over it begins anew.
func Pages[T any](ctx context.Context, client *http.Client, first string) iter.Seq2[Page[T], error] {
	return func(yield func(Page[T], error) bool) {
		next, err := url.Parse(first)
		if err != nil {
			err = errors.New("odata: the first page's URL cannot be read")
		}
		if client == nil {
			err = errors.New("odata: the client is nil: make one with a Transport of this package")
		}
		walk := walk{client: client, home: next, seen: map[[sha256.Size]byte]bool{}}
		for next != nil || err != nil {
			var page Page[T]
			if err == nil {
				page, next, err = readPage[T](ctx, &walk, next)
			}
			if err != nil {
				yield(Page[T]{Count: -1}, err)
				return
			}
			if !yield(page, nil) {
				return
			}
			if next != nil {
				err = walk.check(next)
			}
		}
	}
}

// walk is what does not change from page to page.
type walk struct {
	client *http.Client
	home   *url.URL
	seen   map[[sha256.Size]byte]bool // the pages' URLs
}

// get returns a page's body and the URL that it came from.
func (w *walk) get(ctx context.Context, at *url.URL) ([]byte, *url.URL, error) {
	w.seen[sum(at)] = true
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, nil, fmt.Errorf("odata: a page of %s: the URL is none", at.Host)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := w.client.Do(req)
	if err != nil {
		return nil, nil, withoutURL(err)
	}
	defer resp.Body.Close()
	if err := ErrorOf(resp); err != nil {
		return nil, nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("odata: %s answered %d, which is not a page", at.Host, resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, longestPage+1))
	if err == nil && len(body) > longestPage {
		err = errors.New("it has more than 64 MiB: ask for smaller ones, by $top or Prefer: odata.maxpagesize")
	}
	if err != nil {
		return nil, nil, fmt.Errorf("odata: a page of %s could not be read: %w", at.Host, err)
	}
	if from := resp.Request; from != nil && from.URL != nil {
		at = from.URL
	}
	return bytes.TrimPrefix(body, []byte("\ufeff")), at, nil
}

// check refuses a link that is not to be followed.
func (w *walk) check(next *url.URL) error {
	switch {
	case !origin.Same(w.home, next):
		return fmt.Errorf("odata: the next page is said to be at another origin (%s), where the token must not go: "+
			"the service at %s, or a proxy before it, makes wrong links", display.Line(next.Scheme+"://"+next.Host, 100), w.home.Host)
	case w.seen[sum(next)]:
		return fmt.Errorf("odata: the next page is said to be one that was there already: the service at %s makes wrong links", w.home.Host)
	}
	return nil
}

func sum(u *url.URL) [sha256.Size]byte {
	return sha256.Sum256([]byte(u.EscapedPath() + "?" + u.RawQuery))
}

// withoutURL takes the URL off an error of an http.Client: it may have a secret in its query.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("odata: a page could not be got: %w", e.Err)
	}
	return err
}

func readPage[T any](ctx context.Context, w *walk, at *url.URL) (page Page[T], next *url.URL, err error) {
	body, at, err := w.get(ctx, at)
	if err != nil {
		return page, nil, err
	}
	e, err := readEnvelope(body)
	if err == nil {
		err = json.Unmarshal(e.items, &page.Items)
	}
	if err != nil {
		return page, nil, fmt.Errorf("odata: a page of %s could not be decoded: %w", at.Host, err)
	}
	page.Count, page.DeltaLink = e.count, e.delta
	if e.next == "" {
		return page, nil, nil
	}
	if base, err := at.Parse(e.context); err == nil && origin.Same(base, at) {
		at = base // what links are relative to (OData JSON 4.01, 4.3)
	}
	next, err = at.Parse(e.next)
	if err != nil {
		return page, nil, fmt.Errorf("odata: the link to the next page of %s cannot be read", at.Host)
	}
	next.Fragment, next.RawFragment, next.User = "", "", nil
	return page, next, nil
}

// envelope is what is around the entities of a page.
type envelope struct {
	items                json.RawMessage // an array
	context, next, delta string
	count                int64
}

var errNoPage = errors.New("it is not a collection in JSON: check the URL, and that the service answers in JSON")

func readEnvelope(body []byte) (envelope, error) {
	var v4 struct {
		D          json.RawMessage `json:"d"`
		Value      json.RawMessage `json:"value"`
		Next       string          `json:"@odata.nextLink"`
		Next401    string          `json:"@nextLink"`
		Context    string          `json:"@odata.context"`
		Context401 string          `json:"@context"`
		Count      json.RawMessage `json:"@odata.count"`
		Count401   json.RawMessage `json:"@count"`
		Delta      string          `json:"@odata.deltaLink"`
		Delta401   string          `json:"@deltaLink"`
	}
	if json.Unmarshal(body, &v4) != nil {
		return envelope{}, errNoPage
	}
	if v4.D == nil {
		e := envelope{v4.Value, cmp.Or(v4.Context, v4.Context401), cmp.Or(v4.Next, v4.Next401), cmp.Or(v4.Delta, v4.Delta401), count(v4.Count, v4.Count401)}
		return e, e.check()
	}
	if isArray(v4.D) { // without __next and __count
		return envelope{items: v4.D, count: -1}, nil
	}
	var v2 struct {
		Results json.RawMessage `json:"results"`
		Next    string          `json:"__next"`
		Count   json.RawMessage `json:"__count"`
		Delta   string          `json:"__delta"`
	}
	if json.Unmarshal(v4.D, &v2) != nil {
		return envelope{}, errNoPage
	}
	e := envelope{v2.Results, "", v2.Next, v2.Delta, count(v2.Count, nil)}
	return e, e.check()
}

func (e envelope) check() error {
	if !isArray(e.items) {
		return errNoPage
	}
	return nil
}

func isArray(value json.RawMessage) bool { return len(value) > 0 && value[0] == '[' }

// count reads a count, which V2 writes as a text.
func count(values ...json.RawMessage) int64 {
	for _, value := range values {
		if n, err := strconv.ParseInt(string(bytes.Trim(value, `"`)), 10, 64); err == nil && n >= 0 {
			return n
		}
	}
	return -1
}
