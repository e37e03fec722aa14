package odata

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/outgrant/outgrant/internal/display"
	"github.com/outgrant/outgrant/internal/readahead"
	"github.com/outgrant/outgrant/internal/retryafter"
)

// Bounds of the answer to a $batch.
const (
	longestBatch = 16 << 20
	mostParts    = 10_000
	mostErrors   = 1 << 20 // bytes: they are searched for secrets
)

// BatchErrors returns the errors inside an answer to a $batch, multipart or JSON: each answer there with an error status
// (400 and above), in order, with Part set. A change set that failed is one. Call it before the body is read: it reads it
// all, up to 16 MiB, and puts it back; the caller still closes it. An answer whose own status is an error gives that alone.
//
// The error says that the answer could not be looked through to its end; what was found until then is returned beside it.
func BatchErrors(resp *http.Response) ([]*Error, error) {
	if e, ok := ErrorOf(resp).(*Error); ok {
		return []*Error{e}, nil
	}
	ahead := readahead.Read(resp, longestBatch, 0)
	text := ahead.Text(resp.Header, longestBatch)
	b := batch{reader: readerOf(resp)}
	var err error
	if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && trimmed[0] == '{' {
		err = b.readJSON(trimmed)
	} else {
		err = b.readMultipart(resp.Header.Get("Content-Type"), text)
	}
	switch {
	case !ahead.Whole:
		err = errors.New("it is longer than 16 MiB, or broke off")
	case err == nil && b.parts == 0:
		err = errors.New("there are no answers in it: is it one to a $batch?")
	}
	if err != nil {
		return b.found, fmt.Errorf("odata: the batch answer of %s could not be looked through: %w", cmp.Or(b.host, "the server"), err)
	}
	return b.found, nil
}

// batch is an answer to a $batch as it is looked through.
type batch struct {
	reader
	parts int
	bytes int // of the errors
	found []*Error
}

var (
	errManyParts  = fmt.Errorf("it has more than %d parts", mostParts)
	errManyErrors = errors.New("its errors have more than 1 MiB")
)

// part looks at one of the answers.
func (b *batch) part(id string, status int, retryAfter string, body []byte) error {
	if b.parts++; b.parts > mostParts {
		return errManyParts
	}
	if status < http.StatusBadRequest {
		return nil
	}
	body = body[:min(len(body), readahead.LongestError)]
	if b.bytes += len(body); b.bytes > mostErrors {
		return errManyErrors
	}
	e := b.read(body)
	e.Part = cmp.Or(b.code(id), strconv.Itoa(b.parts))
	e.StatusCode, e.RetryAfter = status, retryafter.Parse(retryAfter, time.Now())
	b.found = append(b.found, e)
	return nil
}

// readJSON reads the form that V4.01 has.
func (b *batch) readJSON(text []byte) error {
	var document struct {
		Responses []struct {
			ID      json.RawMessage   `json:"id"`
			Status  int               `json:"status"`
			Headers map[string]string `json:"headers"`
			Body    json.RawMessage   `json:"body"`
		} `json:"responses"`
	}
	if err := json.Unmarshal(text, &document); err != nil {
		return errors.New("it is not the JSON of a batch answer")
	}
	for _, r := range document.Responses {
		retryAfter := ""
		for name, value := range r.Headers {
			if strings.EqualFold(name, "Retry-After") {
				retryAfter = value
			}
		}
		body := []byte(r.Body)
		var quoted string // a body that is not JSON
		if json.Unmarshal(body, &quoted) == nil {
			body = []byte(quoted)
		}
		if err := b.part(strings.Trim(string(r.ID), `"`), r.Status, retryAfter, body); err != nil {
			return err
		}
	}
	return nil
}

// readMultipart reads a multipart body. The boundary is the content type's, or what the body begins with.
func (b *batch) readMultipart(contentType string, text []byte) error {
	return b.readParts(boundary(contentType, text), bytes.NewReader(text), 1)
}

func boundary(contentType string, text []byte) string {
	if _, params, err := mime.ParseMediaType(contentType); err == nil && params["boundary"] != "" {
		return params["boundary"]
	}
	line, _, _ := bytes.Cut(bytes.TrimSpace(text), []byte("\n"))
	after, found := bytes.CutPrefix(bytes.TrimSpace(line), []byte("--"))
	if !found || len(after) > 70 { // RFC 2046 5.1.1
		return ""
	}
	return string(after)
}

func (b *batch) readParts(boundary string, body io.Reader, level int) error {
	if boundary == "" {
		return errors.New("it is neither JSON nor multipart")
	}
	parts := multipart.NewReader(body, boundary)
	for {
		part, err := parts.NextRawPart()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return errors.New("its parts are broken")
		}
		if media, params, _ := mime.ParseMediaType(part.Header.Get("Content-Type")); strings.HasPrefix(media, "multipart/") {
			if level > 1 { // a change set has no change sets
				return errors.New("its change sets have change sets")
			}
			err = b.readParts(params["boundary"], part, level+1)
		} else {
			err = b.readAnswer(part.Header, part)
		}
		if err != nil {
			return err
		}
	}
}

// readAnswer reads an application/http part, whatever it calls itself.
func (b *batch) readAnswer(header textproto.MIMEHeader, part io.Reader) error {
	resp, err := http.ReadResponse(bufio.NewReader(part), nil)
	if err != nil {
		return fmt.Errorf("part %d is not an answer (%s)", b.parts+1, display.Line(header.Get("Content-Type"), 50))
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, readahead.LongestError)) // what is cut off is read as far as it goes
	return b.part(cmp.Or(resp.Header.Get("Content-Id"), header.Get("Content-Id")), resp.StatusCode, resp.Header.Get("Retry-After"), body)
}
