package samlbearer_test

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/samlbearer"
)

// flat is well-formed, and everything in it lies side by side.
func flat(size int) string {
	return "<a>" + strings.Repeat("<b/>", (size-len("<a></a>"))/len("<b/>")) + "</a>"
}

// It is alone while it runs, as memory is counted for the whole process.
func TestForwardedRefusesLargeOnesCheaply(t *testing.T) {
	f := forwarding(flat(10 << 20))
	received := []byte(flat(10 << 20))
	f.Received = func(context.Context, string) ([]byte, error) { return received, nil }
	least := time.Hour
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 5 {
		start := time.Now()
		_, err := f.Assertion(t.Context(), fwdUser)
		least = min(least, time.Since(start))
		require.ErrorContains(t, err, "and 262144 are allowed: raise Forwarded.MaxSize")
	}
	runtime.ReadMemStats(&after)
	require.Less(t, (after.TotalAlloc-before.TotalAlloc)/5, uint64(64<<10), "bytes allocated; 1 MiB is promised")
	require.Less(t, least, 10*time.Millisecond)
	require.Less(t, testing.AllocsPerRun(10, func() { _, _ = f.Assertion(t.Context(), fwdUser) }), 50.0)
}

func TestForwardedSizeAtTheEdge(t *testing.T) {
	t.Parallel()
	honest := signedByIssuer(honestText)
	f := forwarding(honest)
	f.MaxSize = len(honest)
	requireForwarded(t, f, honest)
	f.MaxSize--
	requireRefused(t, f, "are allowed: raise Forwarded.MaxSize")

	padded := honest + strings.Repeat(" ", 256<<10-len(honest))
	requireForwarded(t, forwarding(padded), padded)
	requireRefused(t, forwarding(padded+" "), "has 262145 bytes, and 262144 are allowed")
	f = forwarding(padded + " ")
	f.MaxSize = 1 << 20
	requireForwarded(t, f, padded+" ")
}

// hostile are documents that are as large as can be and cost as much as can be.
func hostile(size int) map[string]string {
	fill := func(piece string) string { return strings.Repeat(piece, size/len(piece)-1) }
	attributes := "<b " + strings.Repeat(`a="" `, 31) + "/>"
	return map[string]string{
		"flat":       flat(size),
		"deep":       fill("<a>"),
		"attributes": "<a>" + fill(attributes) + "</a>",
		"distinct":   "<a>" + fill(`<b c="" d="" e="" f="" g="" h="" i="" j="" k="" l="" m="" n="" o="" p="" q="" r="" s="" t=""/>`) + "</a>",
		"text":       "<a>" + fill("text") + "</a>",
		"references": "<a>" + fill("&#65;") + "</a>",
		"blanks":     "<?xml" + fill(" ") + "?>",
		"one name":   "<" + fill("a") + "/>",
		"open tags":  fill("<"),
		"ampersands": fill("&"),
		"value":      with(honestText, fwdGroup, fill("<b/>")[:size-len(honestText)-1000]),
	}
}

func TestForwardedCostsLittle(t *testing.T) {
	for name, doc := range hostile(1 << 20) {
		f := forwarding(doc)
		f.MaxSize = 1 << 20
		start := time.Now()
		_, err := f.Assertion(t.Context(), fwdUser)
		require.Error(t, err, name)
		require.Less(t, time.Since(start), 5*time.Second, name)
	}
}

func BenchmarkForwarded(b *testing.B) {
	run := func(name string, f samlbearer.Forwarded) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = f.Assertion(b.Context(), fwdUser)
			}
		})
	}
	b.Run("honest", func(b *testing.B) {
		now, end := time.Now().UTC().Format(time.RFC3339), time.Now().UTC().Add(time.Hour).Format(time.RFC3339)
		text := strings.NewReplacer("2000-01-01T00:10:00Z", end, "2000-01-01T00:10:00.000Z", end, "2000-01-01T08:00:00Z", end, "2000-01-01T00:00:00Z", now).Replace(honestText)
		f := forwarding(signedByIssuer(text))
		b.ReportAllocs()
		for b.Loop() {
			_, err := f.Assertion(b.Context(), fwdUser)
			require.NoError(b, err)
		}
	})
	large := []byte(flat(10 << 20))
	f := forwarding("")
	f.Received = func(context.Context, string) ([]byte, error) { return large, nil }
	run("10 MiB", f)
	for name, doc := range hostile(256 << 10) {
		run(name, forwarding(doc))
	}
}
