package successfactors

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/outgrant/outgrant/adapters"
	"github.com/outgrant/outgrant/internal/readahead"
	"github.com/outgrant/outgrant/internal/replay"
)

// isQuery reports whether a request changes nothing.
func (c *core) isQuery(req *http.Request) bool {
	if req.Method == "" || req.Method == http.MethodGet || req.Method == http.MethodHead {
		return true
	}
	return c.adapter == adapters.SuccessFactorsSOAP && queryOperation(operation(req))
}

func queryOperation(name string) bool {
	switch name {
	case "query", "queryMore", "isValidSession":
		return true
	}
	return strings.HasPrefix(name, "describe") || strings.HasPrefix(name, "list")
}

// operation returns the local name of the element in the SOAP body, or "" if that cannot be read again.
func operation(req *http.Request) (name string) {
	body, err := replay.Body(req)
	if err != nil || body == nil {
		return ""
	}
	defer body.Close()
	text, _ := io.ReadAll(io.LimitReader(body, readahead.LongestError))
	walkXML(text, func(path []string, _ string) {
		if name == "" && len(path) > 2 && path[1] == "Body" {
			name = path[2]
		}
	})
	return name
}

// isUpsert reports whether a request is an OData upsert.
func (c *core) isUpsert(req *http.Request) bool {
	return c.adapter == adapters.SuccessFactorsOData && req.Method == http.MethodPost && strings.HasSuffix(strings.TrimSuffix(req.URL.Path, "/"), "/upsert")
}

// upsertHas reports whether one of the results of an upsert has one of the statuses.
func upsertHas(text []byte, statuses []int) (has bool) {
	walk(text, func(path []string, value string) {
		if path[len(path)-1] == "httpCode" {
			code, _ := strconv.ParseFloat(value, 64) // 412.0 is one, too
			has = has || slices.ContainsFunc(statuses, func(status int) bool { return code == float64(status) })
		}
	})
	return has
}
