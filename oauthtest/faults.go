package oauthtest

import (
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"time"
)

// Fault is something that goes wrong with a token request, or with an authorization. The functions of this package make
// them.
type Fault struct {
	delay     time.Duration
	instead   func(http.ResponseWriter, *http.Request) // of deciding the request
	sameToken bool
	edits     []func(*answer)
	after     func(http.ResponseWriter, *answer) // instead of sending the answer
	lasting   bool

	// Of an authorization, which has a queue of its own. Functions, because fmt does not look into one.
	denied func() *Error
	issuer func() string
}

// Inject makes things go wrong: each fault, in this order, with one of the next token requests; [Deny] and [OtherIssuer]
// with one of the next authorizations. A lasting one stays, for all requests, until [Server.ClearFaults].
func (s *Server) Inject(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range faults {
		if f.denied != nil || f.issuer != nil {
			s.answers = append(s.answers, f)
		} else {
			s.faults = append(s.faults, f)
		}
	}
}

// ClearFaults takes back the faults that have not happened yet, and lasting ones.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults, s.answers = nil, nil
}

// nextOf takes the fault for a request from a queue. s.mu is held.
func nextOf(queue *[]Fault) Fault {
	if len(*queue) == 0 {
		return Fault{}
	}
	f := (*queue)[0]
	if !f.lasting {
		*queue = (*queue)[1:]
	}
	return f
}

// nextAnswer takes the fault for an authorization.
func (s *Server) nextAnswer() Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	return nextOf(&s.answers)
}

// Lasting makes a fault happen with every token request from its turn on.
func Lasting(f Fault) Fault {
	f.lasting = true
	return f
}

// Times repeats a fault.
func Times(n int, f Fault) []Fault {
	all := make([]Fault, n)
	for i := range all {
		all[i] = f
	}
	return all
}

// Together makes one fault of several, all of token requests or all of authorizations: their delays add up, and where two
// would answer the later one does.
func Together(faults ...Fault) Fault {
	var all Fault
	for _, f := range faults {
		all.delay += f.delay
		all.sameToken = all.sameToken || f.sameToken
		all.edits = append(all.edits, f.edits...)
		all.lasting = all.lasting || f.lasting
		if f.instead != nil || f.after != nil {
			all.instead, all.after = f.instead, f.after
		}
		if f.denied != nil {
			all.denied = f.denied
		}
		if f.issuer != nil {
			all.issuer = f.issuer
		}
	}
	return all
}

// None is no fault: it lets one request through before the next fault's turn.
func None() Fault { return Fault{} }

// Delay answers late. A request whose client leaves meanwhile is processed all the same.
func Delay(d time.Duration) Fault { return Fault{delay: d} }

// Status answers with an HTTP status and an empty body; the request is not processed.
func Status(code int) Fault {
	return Fault{instead: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }}
}

// RetryAfter answers 429 and asks to be left alone for a time, in whole seconds; the request is not processed.
func RetryAfter(d time.Duration) Fault {
	return Fault{instead: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", strconv.Itoa(int(d/time.Second)))
		w.WriteHeader(http.StatusTooManyRequests)
	}}
}

// HTML503 answers 503 with a page, as a load balancer does whose service is down; the request is not processed.
func HTML503() Fault {
	return Body(http.StatusServiceUnavailable, "text/html; charset=utf-8", "<html><body><h1>503 Service Unavailable</h1></body></html>")
}

// Body answers with a body of your own; the request is not processed.
func Body(status int, contentType, body string) Fault {
	return Fault{instead: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}}
}

// Refuse answers with an error of RFC 6749 5.2: 401 for invalid_client, else 400; the request is not processed.
func Refuse(code, description string) Fault {
	return Fault{instead: func(w http.ResponseWriter, _ *http.Request) {
		refusal(&Error{Code: code, Description: description}).write(w)
	}}
}

// ErrorIn200 answers 200 with an error inside; the request is not processed.
func ErrorIn200(code string) Fault {
	return Body(http.StatusOK, "application/json", string(encode(map[string]string{"error": code})))
}

// Redirect307 sends the request on to another URL, with its body; it is not processed.
func Redirect307(to string) Fault {
	return Fault{instead: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusTemporaryRedirect) }}
}

// LostRequest cuts the connection before the request is processed.
func LostRequest() Fault {
	return Fault{instead: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }}
}

// LostResponse processes the request and cuts the connection instead of answering: a refresh token is spent then.
func LostResponse() Fault {
	return Fault{after: func(http.ResponseWriter, *answer) { panic(http.ErrAbortHandler) }}
}

// LostIn503 processes the request and answers 503 all the same.
func LostIn503() Fault {
	return Fault{after: func(w http.ResponseWriter, _ *answer) { w.WriteHeader(http.StatusServiceUnavailable) }}
}

// Truncated processes the request and cuts the connection in the middle of the answer.
func Truncated() Fault {
	return Fault{after: func(w http.ResponseWriter, a *answer) {
		b := a.bytes()
		maps.Copy(w.Header(), a.header)
		w.Header().Set("Content-Length", strconv.Itoa(len(b)))
		w.WriteHeader(a.status)
		_, _ = w.Write(b[:len(b)/2])
		_ = http.NewResponseController(w).Flush() // or the half would be cut off too
		panic(http.ErrAbortHandler)
	}}
}

// SameToken hands out the token that the client has already, with the time that remains of it, as SuccessFactors does.
func SameToken() Fault { return Fault{sameToken: true} }

// OddExpiresIn puts a JSON value in expires_in, such as `"3600"`, `3599.5`, `-1`, `1e300`, `null`; "" leaves it out. It
// panics if the value is not JSON.
func OddExpiresIn(value string) Fault {
	if value == "" {
		return without("expires_in")
	}
	return Member("expires_in", json.RawMessage(value))
}

// TokenType answers with a token_type; "" leaves it out.
func TokenType(kind string) Fault {
	if kind == "" {
		return without("token_type")
	}
	return Member("token_type", kind)
}

// Member answers a success with one more member, or another value of one. It panics if the value cannot be encoded as
// JSON.
func Member(name string, value any) Fault {
	encoded := json.RawMessage(encode(value))
	return edit(func(a *answer) {
		if a.status == http.StatusOK {
			a.body[name] = encoded
		}
	})
}

func without(member string) Fault {
	return edit(func(a *answer) { delete(a.body, member) })
}

// FormAnswer answers as a form instead of JSON, as some older services do.
func FormAnswer() Fault {
	return edit(func(a *answer) {
		a.form = true
		a.header.Set("Content-Type", "application/x-www-form-urlencoded")
	})
}

func edit(f func(*answer)) Fault { return Fault{edits: []func(*answer){f}} }

// Deny is for an authorization: the user does not consent, or the server does not let them. The browser is sent back with
// an error; code is access_denied, another one of RFC 6749 4.1.2.1, or consent_required and its like.
func Deny(code, description string) Fault {
	return Fault{denied: func() *Error { return &Error{Code: code, Description: description} }}
}

// OtherIssuer is for an authorization: the answer comes with another iss; "" leaves it out.
func OtherIssuer(issuer string) Fault { return Fault{issuer: func() string { return issuer }} }
