package tokenclient

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"unicode/utf8"
)

// largestAnswer bounds an answer's body: tokens with many groups in them are some 10 KiB.
const largestAnswer = 1 << 20

// readMembers reads the members of an answer in JSON, or as a form like some older services answer.
func readMembers(resp *http.Response, o *outgoing) (map[string]any, error) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, largestAnswer+1))
	mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the answer broke off: %w", o.scrub(err))
	case len(body) > largestAnswer:
		return nil, errors.New("the answer is larger than 1 MiB")
	case len(body) == 0:
		return nil, errors.New("the answer is empty")
	case !utf8.Valid(body):
		return nil, errors.New("the answer is not UTF-8")
	case body[0] == '{':
		return jsonMembers(body)
	case mediaType == "application/x-www-form-urlencoded" || mediaType == "text/plain":
		return formMembers(string(body))
	}
	return nil, fmt.Errorf("the answer is not a token response: its content type is %q", o.show(mediaType, 40))
}

// jsonMembers is json.Unmarshal, but refuses a member that is there twice: which one counts is anybody's guess.
func jsonMembers(body []byte) (map[string]any, error) {
	// The decoder's own errors quote the body.
	broken := errors.New("the answer is not valid JSON")
	members := map[string]any{}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber() // one number that no float64 holds must not cost the whole answer
	if _, err := dec.Token(); err != nil {
		return nil, broken
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, broken
		}
		name, _ := key.(string)
		if _, twice := members[name]; twice {
			return nil, errors.New("the answer has the same member twice")
		}
		var value any
		if err := dec.Decode(&value); err != nil {
			return nil, broken
		}
		members[name] = plain(value)
	}
	if _, err := dec.Token(); err != nil {
		return nil, broken
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, broken
	}
	return members, nil
}

// plain makes numbers float64, as encoding/json does, and texts if they are too large for that.
func plain(value any) any {
	switch v := value.(type) {
	case json.Number:
		if f, err := v.Float64(); err == nil {
			return f
		}
		return v.String()
	case map[string]any:
		for k := range v {
			v[k] = plain(v[k])
		}
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	}
	return value
}

func formMembers(body string) (map[string]any, error) {
	values, err := url.ParseQuery(body)
	if err != nil || (!values.Has("access_token") && !values.Has("error")) {
		return nil, errors.New("the answer is neither JSON nor a form")
	}
	members := map[string]any{}
	for k, v := range values {
		if len(v) > 1 {
			return nil, errors.New("the answer has the same member twice")
		}
		members[k] = v[0]
	}
	return members, nil
}
