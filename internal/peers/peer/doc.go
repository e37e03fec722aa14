// Package peer starts the software of others that outgrant is tested against, and the receivers that trust it.
package peer
