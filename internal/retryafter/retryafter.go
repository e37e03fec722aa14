// Package retryafter reads the Retry-After header.
package retryafter

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Parse returns how long to wait: the header is a number of seconds or a date (RFC 9110 10.2.3). It returns 0 for
// what is neither, or past.
func Parse(header string, now time.Time) time.Duration {
	seconds, err := strconv.ParseUint(strings.TrimSpace(header), 10, 64)
	if err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(seconds, math.MaxInt32)) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
