package odata_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/adapters/odata"
)

func TestBatchErrors(t *testing.T) {
	t.Parallel()
	v2 := []*odata.Error{
		{Host: host, Part: "2", StatusCode: 404, Code: "404", Message: "There is no such book."},
		{Host: host, Part: "change-7", StatusCode: 400, Code: "C2", Message: "The change set failed.", RetryAfter: 9e9},
	}
	v4 := []*odata.Error{
		{Host: host, Part: "2", StatusCode: 409, Code: "UNIQUE", Message: "There is one already.", Target: "ID", RetryAfter: 9e9},
		{Host: host, Part: "x3", StatusCode: 404, Code: "404", Message: "Not Found"},
		{Host: host, Part: "4", StatusCode: 412},
	}
	multi, js := sample(t, "batches/v2.txt"), sample(t, "batches/v4.json")
	part := "--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 400 Bad Request\r\n\r\n"
	for name, c := range map[string]struct {
		contentType, body string
		want              []*odata.Error
		wantErr           string
	}{
		"multipart":                {"multipart/mixed; boundary=b1", multi, v2, ""},
		"without its boundary":     {"multipart/mixed", multi, v2, ""},
		"multipart that lies":      {"application/json", multi, v2, ""},
		"JSON":                     {"application/json", js, v4, ""},
		"JSON that lies":           {"multipart/mixed; boundary=b1", js, v4, ""},
		"nothing":                  {"multipart/mixed", "", nil, "neither JSON nor multipart"},
		"a page":                   {"text/html", sample(t, "errors/page.html"), nil, "neither JSON nor multipart"},
		"other JSON":               {"application/json", `{"value":[]}`, nil, "no answers in it"},
		"odd JSON":                 {"application/json", `{"responses":[{"status":"four"}]}`, nil, "not the JSON of a batch answer"},
		"another boundary":         {"multipart/mixed; boundary=other", multi, nil, "parts are broken"},
		"cut off":                  {"multipart/mixed; boundary=b1", multi[:strings.Index(multi, "--c1--")], v2[:1], "could not be looked through"},
		"a part that is no answer": {"multipart/mixed; boundary=b", part + "\r\n--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b--", []*odata.Error{{Host: host, Part: "1", StatusCode: 400}}, "part 2 is not an answer (text/plain)"},
		"change sets in each other": {"multipart/mixed; boundary=b", "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nContent-Type: multipart/mixed; boundary=d\r\n\r\n--d\r\n\r\nHTTP/1.1 400 x\r\n\r\n--d--\r\n--c--\r\n--b--", nil,
			"change sets have change sets"},
		"more than 16 MiB":       {"multipart/mixed; boundary=b", part + "\r\n" + strings.Repeat("x", 17<<20), nil, "longer than 16 MiB"},
		"too many parts":         {"application/json", `{"responses":[` + strings.Repeat(`{},`, 10_001) + `{}]}`, nil, "more than 10000 parts"},
		"too many errors":        {"application/json", `{"responses":[` + strings.Repeat(`{"status":400,"body":"`+strings.Repeat("x", 50<<10)+`"},`, 30) + `{}]}`, many(20), "errors have more than 1 MiB"},
		"a body that is cut off": {"multipart/mixed; boundary=b", "--b\r\n\r\nHTTP/1.1 500 x\r\nContent-Length: 900\r\n\r\n" + `{"error":{"code":"C"}}` + "\r\n--b--", []*odata.Error{{Host: host, Part: "1", StatusCode: 500, Code: "C"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resp := response(t, 200, strings.NewReader(c.body), "Content-Type", c.contentType)
			got, err := odata.BatchErrors(resp)
			if c.wantErr == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.wantErr)
				require.ErrorContains(t, err, host)
			}
			if name != "more than 16 MiB" {
				require.Equal(t, c.want, got)
			}
			require.True(t, c.body == read(t, resp), "the raw answer is still there")
		})
	}
	require.Equal(t, "odata: gateway.test answered 404 in part 2 of the batch 404: There is no such book.", v2[0].Error())
}

func many(n int) (all []*odata.Error) {
	for i := range n {
		all = append(all, &odata.Error{Host: host, Part: string(rune('0' + (i+1)/10)), StatusCode: 400})
		all[i].Part = strings.TrimPrefix(all[i].Part+string(rune('0'+(i+1)%10)), "0")
	}
	return all
}

func TestBatchThatFailedAsAWhole(t *testing.T) {
	t.Parallel()
	got, err := odata.BatchErrors(response(t, 400, strings.NewReader(sample(t, "errors/v4.json"))))
	require.NoError(t, err)
	want := v4Error
	want.StatusCode = 400
	require.Equal(t, []*odata.Error{&want}, got)
	broken := response(t, 200, io.MultiReader(strings.NewReader("--b\r\n"), errorReader{}), "Content-Type", "multipart/mixed; boundary=b")
	_, err = odata.BatchErrors(broken)
	require.ErrorContains(t, err, "broke off")
}

type errorReader struct{}

func (errorReader) Read([]byte) (int, error) { return 0, errors.New("reset") }

func FuzzBatchErrors(f *testing.F) {
	seeds(f, "batches")
	f.Fuzz(func(t *testing.T, body string) {
		resp := response(t, 200, strings.NewReader(body), "Content-Type", "multipart/mixed; boundary=b1")
		found, _ := odata.BatchErrors(resp)
		for _, e := range found {
			if e.StatusCode < 400 || e.Part == "" || strings.ContainsAny(e.Error(), "\r\n") {
				t.Fatalf("%q", e)
			}
		}
		if read(t, resp) != body {
			t.Fatal("the answer is another")
		}
	})
}

// TestBatchErrorsQuoteNoSecrets has a $batch that went well, and answers in it that quote what was sent.
func TestBatchErrorsQuoteNoSecrets(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/$batch", "/%24batch?sap-client=100"} {
		g := &gateway{next: func(w http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprintf(w, `{"responses":[{"status":400,"body":{"error":{"code":"C","message":%q,"details":[{"message":%q}]}}}]}`,
				"not with "+r.Header.Get("Authorization")+" and "+r.Header.Get("X-Csrf-Token"), r.Header.Get("Cookie"))
		}}
		resp, err := newV4(t, &receiver{handler: g.ServeHTTP}, odata.Options{}).Do(request(t, "POST", service+path, "", "{}"))
		require.NoError(t, err)
		got, err := odata.BatchErrors(resp)
		require.NoError(t, err)
		require.Contains(t, read(t, resp), "csrf-token-1", "the raw answer has it")
		const withheld = "(not shown: it quotes a secret)"
		require.Equal(t, []*odata.Error{{Host: host, Part: "1", StatusCode: 400, Code: "C", Message: withheld, Details: []odata.Detail{{Message: withheld}}}}, got)
	}
}
