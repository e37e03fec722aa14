// Package peers tests outgrant against software that others wrote: strict token services, receivers, brokers. They
// agree on the standards, not on outgrant's reading of them.
//
// It is a module of its own, which is never released: what it requires, no user of outgrant gets. Run it by
//
//	bash internal/peers/run
//
// which installs the peers that are not Go modules. Without them their tests are skipped, in CI they fail.
package peers
