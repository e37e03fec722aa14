package console

import (
	"fmt"
	"strings"
	"time"

	"github.com/outgrant/outgrant/credstore"
)

// badge is a status as it is shown: a word, and a class of the style sheet.
type badge struct{ Text, Class string }

func badgeOf(i *credstore.Info) badge {
	b := badge{i.Status, map[string]string{credstore.Error: "bad", credstore.Unauthorized: "warn"}[i.Status]}
	if b.Class == "" && i.Reason != "" {
		b.Class = "note"
	}
	return b
}

// life is how much is left of something: a picture, and what it shows in words.
type life struct {
	Known   bool   // there is something to show
	Picture bool   // how much is left of how much can be told
	Left    int    // of 100
	Class   string // "" or low, or over
	Text    string // what is left
	Detail  string // the last and the next time; "": neither is known
}

// tokenLife is the life of the access token that came last.
func tokenLife(i *credstore.Info, now time.Time) life {
	if i.TokenFetched.IsZero() {
		return life{}
	}
	l := lifeOf(i.TokenFetched, i.TokenExpires, now)
	l.Detail = "came " + ago(i.TokenFetched, now)
	if next := nextFetch(i); next.After(now) {
		l.Detail += ", next " + ago(next, now)
	}
	if i.ForUsers {
		l.Detail += ", for a user"
	}
	return l
}

// nextFetch is when a token that is in use is refreshed: ahead of its end, as outgrant.CacheOptions says by default.
func nextFetch(i *credstore.Info) time.Time {
	if i.TokenExpires.IsZero() {
		return time.Time{}
	}
	return i.TokenExpires.Add(-min(5*time.Minute, i.TokenExpires.Sub(i.TokenFetched)/2))
}

// grantLife is the life of what makes tokens: of a refresh token, or of a certificate.
func grantLife(i *credstore.Info, now time.Time) life {
	switch {
	case i.RefreshTokenIssued.IsZero() && i.ExpiresOn.IsZero():
		return life{}
	case i.RefreshTokenIssued.IsZero(): // a certificate, or the access token of a provider that gives no refresh token
		return life{Known: true, Text: "ends " + ago(i.ExpiresOn, now)}
	}
	l := lifeOf(i.RefreshTokenIssued, i.ExpiresOn, now)
	last := i.RefreshTokenIssued
	if i.RefreshedOn.After(last) {
		last = i.RefreshedOn
	}
	l.Detail = "used " + ago(last, now)
	if i.RefreshedOn.IsZero() {
		l.Detail = "came " + ago(last, now)
	}
	if i.RenewalDue.After(now) {
		l.Detail += ", renewal " + ago(i.RenewalDue, now)
	}
	return l
}

func lifeOf(began, ends, now time.Time) life {
	if ends.IsZero() {
		return life{Known: true, Text: "no end told"}
	}
	left, whole := ends.Sub(now), ends.Sub(began)
	if left <= 0 {
		return life{Known: true, Picture: true, Class: "over", Text: "ended " + ago(ends, now)}
	}
	l := life{Known: true, Picture: whole > 0, Text: outOf(left, whole) + " left"}
	if whole > 0 {
		l.Left = min(max(int(100*left.Seconds()/whole.Seconds()), 1), 100)
	}
	if l.Left < 10 {
		l.Class = "low"
	}
	return l
}

// sparkline has the failures of a day, hour by hour.
type sparkline struct {
	N    int
	Path string // of bars in a picture of 96 x 20
	Text string // what it shows, in words
}

func sparklineOf(failures [24]int, now time.Time) sparkline {
	s := sparkline{Text: "no failures in the last 24 hours"}
	most, last := 0, 0
	for hour, n := range failures {
		s.N += n
		most = max(most, n)
		if n > 0 {
			last = hour
		}
	}
	if s.N == 0 {
		return s
	}
	var bars strings.Builder
	for hour, n := range failures {
		if n > 0 {
			height := max(18*n/most, 3)
			fmt.Fprintf(&bars, "M%d 20v-%dh3v%dz", 4*hour, height, height)
		}
	}
	s.Path = bars.String()
	s.Text = fmt.Sprintf("%s in the last 24 hours, the last after %s UTC", times(s.N, "failure"), now.UTC().Truncate(time.Hour).Add(time.Duration(last-23)*time.Hour).Format("15:04"))
	return s
}

func times(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// farAway is from how long on a date says more than a span.
const farAway = 365 * 24 * time.Hour

// ago tells when something was, or will be.
func ago(t, now time.Time) string {
	switch d := t.Sub(now); {
	case d.Abs() > farAway:
		return "on " + t.UTC().Format("2006-01-02")
	case d >= 0:
		return "in " + span(d)
	case d > -2*time.Second:
		return "now"
	default:
		return span(-d) + " ago"
	}
}

// moment is a time as it is shown: as a span from now, and exactly for who wants that.
type moment struct{ ISO, Exact, Ago string }

func momentOf(t, now time.Time) moment {
	return moment{t.UTC().Format(time.RFC3339), exactTime(t), ago(t, now)}
}

// span is a length of time for people, in its largest unit. What is all but a whole one is one.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch d = d.Round(time.Second); {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 2*day:
		return fmt.Sprintf("%d h", d.Round(time.Minute)/time.Hour)
	}
	return fmt.Sprintf("%d days", d.Round(time.Hour)/day)
}

// outOf tells how much of a whole there is, with the unit once where it is the same.
func outOf(part, whole time.Duration) string {
	left, of := span(part), span(whole)
	if n, unit, _ := strings.Cut(left, " "); strings.HasSuffix(of, " "+unit) {
		left = n
	}
	return left + " of " + of
}

// exactTime is a time for people who want it exact.
func exactTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}
