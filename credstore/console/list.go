package console

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/outgrant/outgrant/credstore"
	"github.com/outgrant/outgrant/internal/display"
)

// rowsOfPage is how many credentials are on one page.
const rowsOfPage = 50

// query is what of the list is asked for, as its address has it.
type query struct {
	Search, Status, Type string // "": all
	Sort                 string // a key of columns, with a - before it for the other way round
	Page                 int    // from 1
}

// attention is the status of all that somebody should look at.
const attention = "attention"

// statuses are what the list can be cut down to, and longestSearch is how long a search can be, in bytes: each link repeats it.
var statuses = []string{attention, credstore.Error, credstore.Unauthorized, credstore.Deployed}

const longestSearch = 200

func readQuery(values url.Values) query {
	q := query{Search: strings.TrimSpace(values.Get("q")), Status: values.Get("status"), Type: values.Get("type"), Sort: values.Get("sort")}
	if len(q.Search) > longestSearch {
		q.Search = strings.ToValidUTF8(q.Search[:longestSearch], "")
	}
	if !slices.Contains(statuses, q.Status) {
		q.Status = ""
	}
	if !slices.Contains(credstore.Types(), q.Type) {
		q.Type = ""
	}
	q.Page, _ = strconv.Atoi(values.Get("page"))
	q.Page = max(q.Page, 1)
	if columns[strings.TrimPrefix(q.Sort, "-")] == nil {
		q.Sort = "status"
	}
	return q
}

// link is the address of the list with another query.
func (q query) link() string {
	values := url.Values{}
	set := func(name, value, byDefault string) {
		if value != byDefault {
			values.Set(name, value)
		}
	}
	set("q", q.Search, "")
	set("status", q.Status, "")
	set("type", q.Type, "")
	set("sort", q.Sort, "status")
	set("page", strconv.Itoa(q.Page), "1")
	return "./?" + values.Encode()
}

// finds reports whether a credential is one of those that are looked for, whatever their status.
func (q query) finds(i *credstore.Info) bool {
	switch {
	case q.Type != "" && i.Type != q.Type:
		return false
	case q.Search == "":
		return true
	}
	want := strings.ToLower(q.Search)
	return slices.ContainsFunc([]string{i.Name, i.Description, i.TokenServiceURL, i.User, i.ClientID}, func(text string) bool {
		return strings.Contains(strings.ToLower(text), want)
	})
}

// needsAttention reports whether somebody has to act, now or soon.
func needsAttention(i *credstore.Info) bool { return i.Status != credstore.Deployed || i.Reason != "" }

// columns are what the list is sorted by.
var columns = map[string]func(a, b *credstore.Info) int{
	"name":   func(a, b *credstore.Info) int { return 0 }, // what is equal is sorted by name
	"status": func(a, b *credstore.Info) int { return urgency(a) - urgency(b) },
	"service": func(a, b *credstore.Info) int {
		return strings.Compare(withoutScheme(a.TokenServiceURL), withoutScheme(b.TokenServiceURL))
	},
	"deployed": func(a, b *credstore.Info) int { return b.DeployedOn.Compare(a.DeployedOn) },
	"token":    func(a, b *credstore.Info) int { return soonest(a.TokenExpires, b.TokenExpires) },
	"refresh":  func(a, b *credstore.Info) int { return soonest(a.ExpiresOn, b.ExpiresOn) },
	"failures": func(a, b *credstore.Info) int { return failures(b) - failures(a) },
}

func urgency(i *credstore.Info) int {
	switch {
	case i.Status == credstore.Error:
		return 0
	case i.Status == credstore.Unauthorized:
		return 1
	case i.Reason != "":
		return 2
	}
	return 3
}

// soonest puts what never ends last.
func soonest(a, b time.Time) int {
	if a.IsZero() != b.IsZero() {
		if a.IsZero() {
			return 1
		}
		return -1
	}
	return a.Compare(b)
}

func failures(i *credstore.Info) (n int) {
	for _, hour := range i.Failures {
		n += hour
	}
	return n
}

func (q query) sort(all []*credstore.Info) {
	column, descending := strings.CutPrefix(q.Sort, "-")
	compare := columns[column]
	slices.SortFunc(all, func(a, b *credstore.Info) int {
		order := cmp.Or(compare(a, b), strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(a.Name, b.Name))
		if descending {
			return -order
		}
		return order
	})
}

// listBody is what the list shows.
type listBody struct {
	Query          query
	Rows           []row
	Found, All     int
	Counts         []count
	Types          []string
	Headers        []header
	Orders         []order
	First, Last    int    // of the rows, from 1
	Previous, Next string // links; "": there is none
	MayDeploy      bool
}

// count is how many credentials have a status, with the list of them.
type count struct {
	Status, Text, Link string
	N                  int
	Chosen             bool
}

// header is a column's head, with the list that is sorted by it.
type header struct {
	Text, Link string
	Sorted     string // ascending, descending or none
}

const ascending, descending = "ascending", "descending"

// order is one that can be chosen where the columns have no heads.
type order struct {
	Sort, Text string
	Chosen     bool
}

// row is a credential in the list.
type row struct {
	credstore.Info
	Link, Host    string
	Badge         badge
	Short         string // the description
	Reason        string
	Token, Grant  life
	Failed        sparkline
	AuthorizeLink string // "": there is nothing to authorize, or not for this person
}

func (v *visit) list() {
	all, err := v.store.List(v.r.Context())
	if err != nil {
		v.failed(err)
		return
	}
	q := readQuery(v.r.URL.Query())
	b := &listBody{Types: credstore.Types(), MayDeploy: v.may(Deploy, "")}
	var found []*credstore.Info
	counts := map[string]int{}
	for i := range all {
		info := &all[i]
		if v.opts.Allow != nil && !v.may(View, info.Name) {
			continue
		}
		b.All++
		if !q.finds(info) {
			continue
		}
		are := []string{"", info.Status}
		if needsAttention(info) {
			are = append(are, attention)
		}
		for _, status := range are {
			counts[status]++
		}
		if slices.Contains(are, q.Status) {
			found = append(found, info)
		}
	}
	q.sort(found)
	b.fill(q, found, v)
	b.count(q, counts)
	p := page{Title: b.title(v.opts.Title), Live: true, Notice: doneNotice(v.r.URL.Query(), "deleted", "imported"), Body: b}
	if v.r.URL.Query().Has("done") {
		p.Here = q.link()
	}
	v.show(http.StatusOK, "list", p)
}

// title tells the list from other pages of it: what it is cut down to, and which page it is.
func (b *listBody) title(all string) string {
	var parts []string
	for _, c := range b.Counts {
		if c.Chosen && c.Status != "" {
			parts = append(parts, c.Text)
		}
	}
	if b.Query.Type != "" {
		parts = append(parts, kindOf(b.Query.Type))
	}
	if b.Query.Search != "" {
		parts = append(parts, "“"+b.Query.Search+"”")
	}
	if b.Query.Page > 1 {
		parts = append(parts, fmt.Sprint("page ", b.Query.Page))
	}
	return cmp.Or(capital(strings.Join(parts, ", ")), all)
}

// fill shows a page of what was found.
func (b *listBody) fill(q query, found []*credstore.Info, v *visit) {
	b.Found = len(found)
	pages := max((len(found)+rowsOfPage-1)/rowsOfPage, 1)
	q.Page = min(q.Page, pages)
	b.Query = q
	from := (q.Page - 1) * rowsOfPage
	shown := found[from:min(from+rowsOfPage, len(found))]
	b.First, b.Last = from+1, from+len(shown)
	now := time.Now()
	for _, info := range shown {
		b.Rows = append(b.Rows, v.row(info, now))
	}
	other := q
	if other.Page = q.Page - 1; other.Page > 0 {
		b.Previous = other.link()
	}
	if other.Page = q.Page + 1; other.Page <= pages {
		b.Next = other.link()
	}
	for _, column := range []struct {
		key, text     string
		first, second string // what its two orders are called
		sorted        string // how the first sorts
	}{
		{"name", "Name", "from A to Z", "from Z to A", ascending},
		{"status", "Status", "the most urgent first", "the least urgent first", descending},
		{"service", "Token service and user", "from A to Z", "from Z to A", ascending},
		{"deployed", "Deployed", "the newest first", "the oldest first", descending},
		{"token", "Access token", "what ends first", "what ends last", ascending},
		{"refresh", "Refresh token or certificate", "what ends first", "what ends last", ascending},
		{"failures", "Failures in a day", "the most first", "the fewest first", descending},
	} {
		h := header{Text: column.text, Sorted: "none"}
		first, second := column.key, "-"+column.key
		other := q
		other.Sort, other.Page = first, 1
		switch q.Sort {
		case first:
			h.Sorted, other.Sort = column.sorted, second
		case second:
			h.Sorted = map[string]string{ascending: descending, descending: ascending}[column.sorted]
		}
		h.Link = other.link()
		b.Headers = append(b.Headers, h)
		b.Orders = append(b.Orders, order{first, column.text + ": " + column.first, q.Sort == first}, order{second, column.text + ": " + column.second, q.Sort == second})
	}
}

func (b *listBody) count(q query, counts map[string]int) {
	add := func(status, text string, n int) {
		other := q
		other.Status, other.Page = status, 1
		b.Counts = append(b.Counts, count{Status: status, Text: text, N: n, Link: other.link(), Chosen: q.Status == status})
	}
	add("", "all", counts[""])
	add(attention, "need attention", counts[attention])
	for _, status := range statuses[1:] {
		add(status, status, counts[status])
	}
}

// The longest texts in a row, in characters: whoever deploys can make them longer than a page should be.
const longestDescription, longestReason, longestUser, longestLink = 120, 240, 120, 1000

func (v *visit) row(i *credstore.Info, now time.Time) row {
	r := row{
		Info: *i, Link: link("artifact", i.Name), Host: hostOf(i.TokenServiceURL), Badge: badgeOf(i), Short: display.Line(i.Description, longestDescription),
		Reason: display.Line(said(i.Reason), longestReason), Token: tokenLife(i, now), Grant: grantLife(i, now), Failed: sparklineOf(i.Failures, now),
	}
	r.User, r.DeployedBy, r.Host = display.Line(r.User, longestUser), display.Line(r.DeployedBy, longestUser), display.Line(r.Host, longestUser)
	// A redirect URL of its own is in its seal, and some names are too long to be there twice.
	if i.Status == credstore.Unauthorized && v.store.RedirectURL() != "" && len(r.Link) < longestLink && v.may(Authorize, i.Name) {
		r.AuthorizeLink = link("authorize", i.Name)
	}
	return r
}

// breakable cuts a name where a line may be broken.
func breakable(name string) (parts []string) {
	for name != "" {
		end := strings.IndexAny(name, "._-") + 1
		if end == 0 {
			end = len(name)
		}
		parts, name = append(parts, name[:end]), name[end:]
	}
	return parts
}

func withoutScheme(address string) string {
	if _, rest, found := strings.Cut(address, "://"); found {
		return rest
	}
	return address
}

// hostOf returns where an address leads, without the path.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}
