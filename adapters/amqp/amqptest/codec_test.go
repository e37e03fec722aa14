package amqptest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCodec decodes what was encoded.
func TestCodec(t *testing.T) {
	t.Parallel()
	for _, v := range []any{nil, true, false, "text", symbol("a-symbol"), []byte{1, 2}, []any{"a", nil, []any{true}}} {
		got, rest, err := decode(encode(nil, v), 0)
		require.NoError(t, err)
		require.Empty(t, rest)
		require.Equal(t, v, got)
	}
	for v, want := range map[any]any{uint8(7): uint64(7), uint16(700): uint64(700), uint32(70_000): uint64(70_000), uint64(1 << 40): uint64(1 << 40)} {
		got, _, err := decode(encode(nil, v), 0)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	got, _, err := decode(encode(nil, []symbol{"a", "b"}), 0)
	require.NoError(t, err)
	require.Equal(t, []any{symbol("a"), symbol("b")}, got)
}

// FuzzPerformative has clients that send anything.
func FuzzPerformative(f *testing.F) {
	f.Add(encode(nil, described{code: opAttach, value: []any{"name", uint32(0), true, nil, nil, described{code: 0x28, value: []any{"queue:orders"}}}}))
	f.Add(encode(nil, described{code: opOpen, value: []any{"container", nil, uint32(512), []symbol{"a", "b"}}}))
	f.Add([]byte{0x00, 0x53, 0x18, 0x45})
	f.Add([]byte{0x00, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x14, 0xc0, 4, 2, 0xa1, 1, 'x'})
	f.Add([]byte{0x00, 0x53, 0x10, 0xd1, 0, 0, 0, 6, 0, 0, 0, 2, 0x41, 0x42})
	f.Fuzz(func(_ *testing.T, body []byte) {
		if _, args, _, err := performative(body); err == nil {
			_, _, _ = args.number(1), args.true(2), address(args.at(5))
		}
	})
}
