package samlbearer

import (
	"errors"
	"fmt"

	"github.com/outgrant/outgrant"
)

// PrincipalFromClaims returns the id of the user whom a token names, for [Client.ForUser]. The claims must come from a token
// that the caller has verified. The id is the claim that userIDSource names (SAP's userIdSource, such as mail or email), else
// email where the NameID format is NameIDEmailAddress, or user_name where it is NameIDUnspecified or "".
//
// A claim that is there but is not a text, or an empty one, is an error rather than passed over; a token that has none of
// them is [outgrant.ErrUserRequired]. Never use the technical user instead: it would do for one person what another may not.
func PrincipalFromClaims(claims map[string]any, userIDSource, nameIDFormat string) (string, error) {
	var names []string
	if userIDSource != "" {
		names = append(names, userIDSource)
	}
	switch nameIDFormat {
	case NameIDEmailAddress:
		names = append(names, "email")
	case NameIDUnspecified, "":
		names = append(names, "user_name")
	}
	for _, name := range names {
		claim, found := claims[name]
		if !found {
			continue
		}
		id, ok := claim.(string)
		if !ok || id == "" {
			return "", fmt.Errorf("samlbearer: the claim %q holds no user id: it must be a text that is not empty", name)
		}
		return id, nil
	}
	if len(names) == 0 {
		return "", errors.New("samlbearer: set userIDSource: there is no claim for this NameID format")
	}
	return "", fmt.Errorf("samlbearer: the token has none of the claims %q: %w", names, outgrant.ErrUserRequired)
}
