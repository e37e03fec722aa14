package peer

import (
	"encoding/json"
	"fmt"
	"regexp"
	"testing"
	"time"
)

// Refreshes is what came of a client's refresh tokens, as the token service saw it.
type Refreshes struct {
	Requests int `json:"requests"`
	Granted  int `json:"granted"`
	Reused   int `json:"reused"`  // with a refresh token that had a successor already, whether it was noticed or not
	Refused  int `json:"refused"` // for another reason
}

// Refreshes returns what came of the client's refresh tokens so far.
func (s *AuthServer) Refreshes(tb testing.TB, clientID string) Refreshes {
	tb.Helper()
	number := s.asked.Add(1)
	if err := json.NewEncoder(s.stdin).Encode(map[string]any{"count": number, "client_id": clientID}); err != nil {
		tb.Fatal(err)
	}
	said := s.await(tb, regexp.MustCompile(fmt.Sprintf(`(?m)^COUNT %d (.*)\n`, number)), 10*time.Second)
	var r Refreshes
	if err := json.Unmarshal([]byte(said[1]), &r); err != nil {
		tb.Fatal(err)
	}
	return r
}
