package successfactors_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/adapters/successfactors"
	"github.com/outgrant/outgrant/oauthtest"
)

func zipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.String()
}

func TestGzip(t *testing.T) {
	t.Parallel()
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Asked", r.Header.Get("Accept-Encoding"))
		text := "hello"
		if r.URL.Path == "/bomb" {
			text = strings.Repeat("x", 4<<20)
		}
		if r.URL.Path != "/plain" && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			w.Header().Set("Content-Encoding", "gzip")
			text = zipped(text)
		}
		_, _ = io.WriteString(w, text)
	}))
	defer receiver.Close()
	base := &http.Transport{DisableCompression: true}
	defer base.CloseIdleConnections()
	get := func(gzip bool, method, path string, header ...string) (*http.Response, string) {
		client := newOData(t, anybody{}, base, successfactors.Options{Gzip: gzip})
		req := request(t, method, receiver.URL+path, "", "")
		for i := 0; i+1 < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := client.Do(req)
		require.NoError(t, err)
		return resp, read(t, resp)
	}
	resp, text := get(true, "GET", "/")
	require.Equal(t, "hello", text)
	require.Equal(t, "gzip", resp.Header.Get("X-Asked"))
	require.True(t, resp.Uncompressed)
	require.Equal(t, int64(-1), resp.ContentLength)
	require.Empty(t, resp.Header.Get("Content-Encoding")+resp.Header.Get("Content-Length"))
	resp, text = get(true, "GET", "/plain")
	require.Equal(t, "hello", text, "it need not be compressed")
	require.False(t, resp.Uncompressed)
	_, text = get(true, "GET", "/bomb")
	require.Len(t, text, 4<<20, "what the caller reads is the caller's to bound")

	resp, text = get(true, "GET", "/", "Accept-Encoding", "gzip")
	require.Equal(t, zipped("hello"), text, "who asks for it gets it")
	require.Equal(t, "gzip", resp.Header.Get("Content-Encoding"))
	resp, _ = get(true, "HEAD", "/")
	require.Empty(t, resp.Header.Get("X-Asked"))
	resp, _ = get(true, "GET", "/", "Range", "bytes=0-1")
	require.Empty(t, resp.Header.Get("X-Asked"))
	resp, text = get(false, "GET", "/")
	require.Empty(t, resp.Header.Get("X-Asked"))
	require.Equal(t, "hello", text)
}

// TestCompressedErrors are found and shown whether the caller asked for them or the transport did.
func TestCompressedErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		asked bool // by the caller
		want  string
	}{"by the transport": {false, sample(t, "expired.json")}, "by the caller": {true, zipped(sample(t, "expired.json"))}} {
		r := &receiver{handler: says(403, zipped(sample(t, "expired.json")), "Content-Encoding", "gzip")}
		client := newOData(t, users{"alice": &oauthtest.Source{}}, r, successfactors.Options{Gzip: true})
		req := request(t, "GET", server, "", "")
		if c.asked {
			req.Header.Set("Accept-Encoding", "gzip")
		}
		resp, err := client.Do(req)
		require.NoError(t, err)
		require.Len(t, r.arrived(), 2, name)
		require.ErrorContains(t, successfactors.ErrorOf(resp), "TOKEN_EXPIRED")
		require.Equal(t, c.want, read(t, resp))
	}
}

func TestBrokenGzip(t *testing.T) {
	t.Parallel()
	good := zipped(strings.Repeat("hello", 1000))
	for name, text := range map[string]string{"none": "plain", "cut off": good[:20], "damaged": good[:15] + "xx" + good[17:]} {
		for _, status := range []int{200, 500} {
			r := &receiver{handler: says(status, text, "Content-Encoding", "gzip")}
			resp, err := newOData(t, anybody{}, r, successfactors.Options{Gzip: true}).Do(request(t, "GET", server, "", ""))
			require.NoError(t, err)
			require.Equal(t, status == 500, successfactors.ErrorOf(resp) != nil)
			_, err = io.ReadAll(resp.Body)
			require.Error(t, err, name)
			_, again := io.ReadAll(resp.Body)
			require.Error(t, again)
		}
	}
	r := &receiver{handler: says(403, sample(t, "expired.json"), "Content-Encoding", "gzip")}
	req := request(t, "GET", server, "", "")
	req.Header.Set("Accept-Encoding", "gzip") // and what comes is not
	resp, err := newOData(t, anybody{}, r, successfactors.Options{}).Do(req)
	require.NoError(t, err)
	require.ErrorContains(t, successfactors.ErrorOf(resp), "TOKEN_EXPIRED")
	r = &receiver{handler: says(200, "", "Content-Encoding", "gzip")}
	require.Equal(t, "200 ", fetch(t, newOData(t, anybody{}, r, successfactors.Options{Gzip: true}), request(t, "GET", server, "", "")))
}

// TestUpsertBomb compresses a success to a thousandth: no more of it is looked at than of any other.
func TestUpsertBomb(t *testing.T) {
	t.Parallel()
	long := strings.Repeat(" ", 8<<20) + jsonLocked
	bomb := zipped(long)
	r := &receiver{handler: says(200, bomb, "Content-Encoding", "gzip")}
	client := newOData(t, anybody{}, r, successfactors.Options{Gzip: true, Repeat: true, BaseURL: server})
	for _, asked := range []bool{false, true} {
		req := request(t, "POST", "upsert", "", "x")
		if asked {
			req.Header.Set("Accept-Encoding", "gzip")
		}
		resp, err := client.Do(req)
		require.NoError(t, err)
		n, err := io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		require.Equal(t, map[bool]int64{false: int64(len(long)), true: int64(len(bomb))}[asked], n)
	}
	require.Len(t, r.arrived(), 2)
}

// hanging is a body that never comes.
type hanging struct {
	part   io.Reader
	closed chan struct{}
}

func (h *hanging) Read(p []byte) (int, error) {
	if n, err := h.part.Read(p); err == nil {
		return n, nil
	}
	<-h.closed
	return 0, io.ErrClosedPipe
}

func (h *hanging) Close() error {
	select {
	case <-h.closed:
	default:
		close(h.closed)
	}
	return nil
}

func TestErrorBodyThatNeverComes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := newOData(t, anybody{}, roundTripFunc(func(req *http.Request) (*http.Response, error) {
			return response(req, 500, &hanging{strings.NewReader("so far"), make(chan struct{})}), nil
		}), successfactors.Options{})
		start := time.Now()
		resp, err := client.Do(request(t, "GET", server, "", ""))
		require.NoError(t, err)
		require.Equal(t, 5*time.Second, time.Since(start))
		require.Error(t, successfactors.ErrorOf(resp))
		got, err := io.ReadAll(resp.Body)
		require.ErrorContains(t, err, "did not come in time")
		require.Equal(t, "so far", string(got))
		require.Equal(t, 5*time.Second, time.Since(start))
	})
}

// TestRefusedBodyThatNeverComes does not hold up the repeat.
func TestRefusedBodyThatNeverComes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		never := &hanging{strings.NewReader("<"), make(chan struct{})}
		n := 0
		client := newSOAP(t, users{"alice": &oauthtest.Source{}}, roundTripFunc(func(req *http.Request) (*http.Response, error) {
			if n++; n == 1 {
				return response(req, 401, never), nil
			}
			return response(req, 200, http.NoBody), nil
		}), successfactors.Options{Repeat: true})
		start := time.Now()
		require.Equal(t, "200 ", fetch(t, client, request(t, "GET", server, "", "")))
		require.Zero(t, time.Since(start))
		<-never.closed
	})
}
