package drivertest

import "time"

// Most tests of the suite wait for something that never comes.
func init() { promptly = 2 * time.Second }

// CheckNames returns the names of all checks, as subtests.
func CheckNames() []string {
	var names []string
	for _, g := range groups {
		for _, c := range g.checks {
			names = append(names, g.name+"/"+c.name)
		}
	}
	return names
}
