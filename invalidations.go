package outgrant

import "time"

// A credential's tokens can be dropped on a receiver's word this often: invalidationBurst at once, and
// one more every invalidationEvery. It bounds what a receiver that refuses everything can cost the
// token service, however many transports share the credential.
const (
	invalidationBurst = 5
	invalidationEvery = 10 * time.Second
)

// invalidations is the budget: a time that runs ahead of now with each one spent.
type invalidations struct{ spentUntil instant }

func (i *invalidations) spend(now instant) bool {
	ahead := max(i.spentUntil, now)
	if ahead-now > (invalidationBurst-1)*invalidationEvery {
		return false
	}
	i.spentUntil = ahead + invalidationEvery
	return true
}
