package oauthtest

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
)

// answer is what is about to be sent.
type answer struct {
	status int
	header http.Header
	body   map[string]any
	form   bool // instead of JSON
}

func newAnswer(status int, body map[string]any) *answer {
	return &answer{status: status, body: body, header: http.Header{
		"Content-Type": {"application/json;charset=UTF-8"}, "Cache-Control": {"no-store"}, "Pragma": {"no-cache"}, // RFC 6749 5.1
	}}
}

// refusal is the answer of RFC 6749 5.2, or the one in the service's own shape.
func refusal(e *Error) *answer {
	status := e.Status
	if status < http.StatusBadRequest {
		status = http.StatusBadRequest
		if e.Code == "invalid_client" {
			status = http.StatusUnauthorized
		}
	}
	members := map[string]any{"error": e.Code, "error_description": e.Description}
	if e.Members != nil {
		members = maps.Clone(e.Members) // the handler may keep its own
	}
	a := newAnswer(status, members)
	switch status {
	case http.StatusUnauthorized:
		a.header.Set("WWW-Authenticate", `Basic realm="oauthtest"`)
	case http.StatusMethodNotAllowed:
		a.header.Set("Allow", http.MethodPost)
	}
	return a
}

func (a *answer) write(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.status)
	_, _ = w.Write(a.bytes())
}

func (a *answer) bytes() []byte {
	if !a.form {
		return encode(a.body)
	}
	form := url.Values{}
	for name, value := range a.body {
		b := encode(value)
		text := string(b)
		_ = json.Unmarshal(b, &text) // a text goes without its quotes, anything else as it is
		form.Set(name, text)
	}
	return []byte(form.Encode())
}

// encode panics where a value has no JSON form.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("oauthtest: " + err.Error())
	}
	return b
}
