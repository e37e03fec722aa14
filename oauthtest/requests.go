package oauthtest

import (
	"maps"
	"net/http"
	"net/url"
	"time"
)

// Request is a token request as it came. Its header and its parameters hold the secrets that were sent; it prints
// without them.
type Request struct {
	Time      time.Time
	URL       *url.URL
	Header    http.Header
	Params    url.Values // of the body, and in the SAP dialect of the URL; nil: they were malformed
	ClientID  string     // "" where the client was not told
	GrantType string
	Status    int // of the answer; 0: there is none yet, or a fault cut the connection
}

// TokenRequests returns how many token requests have come in, refused ones and those lost to faults included.
func (s *Server) TokenRequests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// Requests returns the token requests that have come in, refused ones and those lost to faults included, in order: the
// latest thousand. They must not be modified.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Request, len(s.requests))
	for i, r := range s.requests {
		all[i] = *r
	}
	return all
}

const keptRequests = 1000

// arrive keeps a request, and returns the fault whose turn it is, and a writer that notes the answer's status.
func (s *Server) arrive(w http.ResponseWriter, r *http.Request, params url.Values) (Fault, http.ResponseWriter) {
	_, id, _, _ := presented(r, params)
	seen := &Request{Time: time.Now(), URL: r.URL, Header: r.Header.Clone(), Params: maps.Clone(params), ClientID: id,
		GrantType: params.Get("grant_type")}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if len(s.requests) == keptRequests {
		s.requests = s.requests[1:]
	}
	s.requests = append(s.requests, seen)
	return nextOf(&s.faults), &statusWriter{ResponseWriter: w, server: s, seen: seen}
}

type statusWriter struct {
	http.ResponseWriter
	server *Server
	seen   *Request
}

func (w *statusWriter) WriteHeader(status int) {
	w.server.mu.Lock()
	w.seen.Status = status
	w.server.mu.Unlock()
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
