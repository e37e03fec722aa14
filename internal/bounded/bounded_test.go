package bounded_test

import (
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/outgrant/outgrant/internal/bounded"
	"github.com/outgrant/outgrant/internal/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

func put(m *bounded.Map[string, int], key string, value int) *bounded.Entry[string, int] {
	return m.GetOrAdd(key, func(e *bounded.Entry[string, int]) { e.Value = value })
}

func TestGet(t *testing.T) {
	t.Parallel()
	m := bounded.New[string, int](10, time.Hour, nil)
	require.Nil(t, m.Get("a"))
	require.Zero(t, m.Len())
	a := put(m, "a", 1)
	require.Equal(t, 1, a.Value)
	require.Same(t, a, m.Get("a"))
	require.Same(t, a, put(m, "a", 2), "it is there")
	require.Equal(t, 1, a.Value)
	require.Nil(t, m.Get("A"))
	require.Nil(t, m.Get(""))
	empty := put(m, "", 3)
	require.Same(t, empty, m.Get(""), "any key is one")
	require.Equal(t, 2, m.Len())
	require.True(t, a.Use())
}

func TestNeverMoreThanMost(t *testing.T) {
	t.Parallel()
	for _, most := range []int{1, 2, 3, 100} {
		m := bounded.New[string, int](most, time.Hour, nil)
		for i := range 1000 {
			key := strconv.Itoa(i)
			e := put(m, key, i)
			require.Same(t, e, m.Get(key), "the newest is there")
			require.Equal(t, min(i+1, most), m.Len())
		}
	}
}

// TestWhoGoes: what was not used since the hand last passed.
func TestWhoGoes(t *testing.T) {
	t.Parallel()
	m := bounded.New[string, int](4, time.Hour, nil)
	kept := map[string]*bounded.Entry[string, int]{}
	for _, key := range []string{"a", "b", "c", "d"} {
		kept[key] = put(m, key, 0)
	}
	put(m, "e", 0) // all were used: the hand goes round once, and the first goes
	require.False(t, kept["a"].Use())
	require.Equal(t, 4, m.Len())
	require.True(t, kept["b"].Use())
	require.NotNil(t, m.Get("d"))
	put(m, "f", 0) // c is the one that was not used
	require.False(t, kept["c"].Use())
	require.Nil(t, m.Get("c"))
	for _, key := range []string{"b", "d", "e", "f"} {
		require.NotNil(t, m.Get(key), key)
	}
}

// TestGone: an entry that is no longer in its map says so, for ever, also when its key is there again.
func TestGone(t *testing.T) {
	t.Parallel()
	m := bounded.New[string, int](1, time.Hour, nil)
	first := put(m, "a", 1)
	require.True(t, first.Use())
	put(m, "b", 2)
	require.False(t, first.Use())
	second := put(m, "a", 3)
	require.NotSame(t, first, second)
	require.False(t, first.Use())
	require.True(t, second.Use())
	require.Equal(t, 1, first.Value, "it stays what it was for who holds it")
	require.Equal(t, "a", first.Key())
}

func TestIdle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const idle = time.Hour
		for range 20 {
			m := bounded.New[string, int](1000, idle, nil)
			put(m, "first", 0)
			time.Sleep(rand.N(idle / 2)) // whenever it comes, soon after a sweep or soon before
			e := put(m, "a", 1)
			time.Sleep(idle - time.Nanosecond)
			require.Equal(t, 2, m.Len(), "for the idle time it is kept, and the first for half of it more")
			time.Sleep(idle/2 + 2*time.Nanosecond)
			require.Nil(t, m.Get("a"), "after one and a half of it it is gone")
			require.False(t, e.Use())
			require.Zero(t, m.Len())
		}
	})
}

// TestUseKeeps: each kind of use.
func TestUseKeeps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := bounded.New[string, int](1000, time.Hour, nil)
		got, used, added, idle := put(m, "got", 0), put(m, "used", 0), put(m, "added", 0), put(m, "idle", 0)
		for range 50 {
			time.Sleep(40 * time.Minute)
			require.Same(t, got, m.Get("got"))
			require.True(t, used.Use())
			require.Same(t, added, put(m, "added", 1))
		}
		require.False(t, idle.Use())
		require.Equal(t, 3, m.Len())
	})
}

// TestSweepInPieces: more entries than a piece, some of them in use.
func TestSweepInPieces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 5000
		m := bounded.New[string, int](n, time.Hour, nil)
		entries := make([]*bounded.Entry[string, int], n)
		for i := range entries {
			entries[i] = put(m, strconv.Itoa(i), i)
		}
		for range 6 {
			time.Sleep(29 * time.Minute)
			for i := 0; i < n; i += 3 {
				require.True(t, entries[i].Use(), i)
			}
		}
		require.Equal(t, (n+2)/3, m.Len())
		for i, e := range entries {
			if found := m.Get(strconv.Itoa(i)); i%3 == 0 {
				require.Same(t, e, found)
			} else {
				require.Nil(t, found)
			}
		}
		for i := range n { // what goes by number works on what the sweeps left
			put(m, "more-"+strconv.Itoa(i), i)
		}
		require.Equal(t, n, m.Len())
	})
}

// TestTimer runs only while something is kept, and again when something comes.
func TestTimer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := bounded.New[string, int](10, time.Hour, nil)
		for range 3 {
			e := put(m, "a", 1)
			time.Sleep(1000 * time.Hour)
			require.Zero(t, m.Len())
			require.False(t, e.Use())
			require.Nil(t, m.Get("a"))
		}
	})
}

func TestConcurrently(t *testing.T) {
	t.Parallel()
	m := bounded.New[string, int](50, 2*time.Millisecond, nil) // it is swept all the time
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := range 5000 {
				n := (i*13 + worker*17) % 80
				key := strconv.Itoa(n)
				e := m.Get(key)
				if e == nil {
					e = put(m, key, n)
				}
				if e.Value != n {
					t.Errorf("%s has %d", key, e.Value)
				}
				e.Use()
				if m.Len() > 50 {
					t.Error("too many")
				}
			}
		})
	}
	group.Wait()
	for i := range 200 { // what is there can be found, and what was let go cannot
		key := "after-" + strconv.Itoa(i)
		e := put(m, key, i)
		if found := m.Get(key); found != nil && found != e && e.Use() {
			t.Error("two of one key")
		}
	}
}

// TestBusyStays beyond both bounds, and goes when it is busy no more.
func TestBusyStays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const busy = 5
		var over atomic.Bool
		m := bounded.New[string](3, time.Hour, func(n *int) bool { return *n < busy && !over.Load() })
		for i := range 100 {
			put(m, strconv.Itoa(i), i)
			require.Equal(t, max(min(i+1, 3), min(i+1, busy+1)), m.Len(), "of the others there is only the newest")
		}
		time.Sleep(100 * time.Hour)
		require.Equal(t, busy, m.Len())
		over.Store(true)
		put(m, "newest", 100)
		require.Equal(t, 3, m.Len(), "back within the bound")
		require.NotNil(t, m.Get("newest"))
		time.Sleep(2 * time.Hour)
		require.Zero(t, m.Len())
	})
}

// TestIdleTimeBeginsWhenNotBusy.
func TestIdleTimeBeginsWhenNotBusy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var over atomic.Bool
		m := bounded.New[string](3, time.Hour, func(*int) bool { return !over.Load() })
		e := put(m, "a", 0)
		time.Sleep(100*time.Hour + time.Minute)
		over.Store(true)
		time.Sleep(time.Hour)
		require.Equal(t, 1, m.Len())
		time.Sleep(time.Hour)
		require.False(t, e.Use())
	})
}

// TestAddingLooksAtFew, however many there are and however much they were used, or are busy.
func TestAddingLooksAtFew(t *testing.T) {
	t.Parallel()
	for name, busy := range map[string]bool{"used": false, "busy": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const n = 100_000
			looks := 0
			m := bounded.New[string](n, 100*time.Hour, func(*int) bool { looks++; return busy })
			for i := range n {
				put(m, strconv.Itoa(i), i)
			}
			require.Zero(t, looks, "there was room")
			for i := range 1000 {
				looks = 0
				put(m, "more-"+strconv.Itoa(i), i)
				require.LessOrEqual(t, looks, 256)
			}
			if busy {
				require.Equal(t, n+1000, m.Len())
			} else {
				require.Equal(t, n, m.Len())
			}
		})
	}
}

// TestUseDoesNotAllocate.
func TestUseDoesNotAllocate(t *testing.T) {
	m := bounded.New[string, int](10, time.Hour, nil)
	e := put(m, "a", 1)
	require.Zero(t, testing.AllocsPerRun(1000, func() { m.Get("a"); e.Use() }))
}
