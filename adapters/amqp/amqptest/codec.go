package amqptest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Values are decoded as nil, bool, uint64, int64, string, symbol, []byte, []any (lists and arrays), [][2]any (maps), described or
// raw (what nothing here looks at). AMQP 1.0, 1.6.

type symbol string

// described is a value with a descriptor, such as a performative.
type described struct {
	code  uint64 // 0: a symbol
	value any
	bytes []byte // as it came
}

// raw is an encoded value.
type raw []byte

// descriptors of what a broker handles (AMQP 1.0, 2.7, 2.8.14, 3.4, 5.3.3).
const (
	opOpen        = 0x10
	opBegin       = 0x11
	opAttach      = 0x12
	opFlow        = 0x13
	opTransfer    = 0x14
	opDisposition = 0x15
	opDetach      = 0x16
	opEnd         = 0x17
	opClose       = 0x18
	opError       = 0x1d
	opAccepted    = 0x24
	opRejected    = 0x25
	opReleased    = 0x26
	opModified    = 0x27
	opMechanisms  = 0x40
	opInit        = 0x41
	opChallenge   = 0x42
	opResponse    = 0x43
	opOutcome     = 0x44
)

var errMalformed = errors.New("malformed AMQP")

// maxDepth bounds how deep values lie in one another.
const maxDepth = 20

// decode decodes the first value of b, and returns what follows it.
func decode(b []byte, depth int) (v any, rest []byte, err error) {
	if len(b) == 0 || depth > maxDepth {
		return nil, nil, errMalformed
	}
	code := b[0]
	if code == 0x00 {
		return decodeDescribed(b, depth)
	}
	body := b[1:]
	switch code >> 4 {
	case 0x4:
		return decodeEmpty(code), body, nil
	case 0x5, 0x6, 0x7, 0x8, 0x9:
		n := 1 << (code>>4 - 5)
		if len(body) < n {
			return nil, nil, errMalformed
		}
		return decodeFixed(code, body[:n]), body[n:], nil
	}
	size, rest, err := takeSize(code, body)
	if err != nil {
		return nil, nil, err
	}
	content, rest := rest[:size], rest[size:]
	switch code >> 4 {
	case 0xa, 0xb:
		return decodeVariable(code, content), rest, nil
	case 0xc, 0xd:
		v, err = decodeCompound(code, content, depth)
	default: // arrays
		v, err = decodeArray(code, content, depth)
	}
	return v, rest, err
}

func decodeDescribed(b []byte, depth int) (any, []byte, error) {
	descriptor, rest, err := decode(b[1:], depth+1)
	if err != nil {
		return nil, nil, err
	}
	v, rest, err := decode(rest, depth+1)
	code, _ := descriptor.(uint64)
	return described{code: code, value: v, bytes: b[:len(b)-len(rest)]}, rest, err
}

func decodeEmpty(code byte) any {
	switch code {
	case 0x41:
		return true
	case 0x42:
		return false
	case 0x43, 0x44:
		return uint64(0)
	case 0x45:
		return []any(nil)
	}
	return nil
}

func decodeFixed(code byte, b []byte) any {
	var n uint64
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	switch code {
	case 0x50, 0x60, 0x70, 0x80, 0x52, 0x53: // unsigned
		return n
	case 0x56:
		return n == 1
	case 0x51, 0x54, 0x55:
		return int64(int8(n))
	case 0x61:
		return int64(int16(n))
	case 0x71:
		return int64(int32(n))
	case 0x81, 0x83:
		return int64(n)
	}
	return raw(b)
}

// takeSize takes the size that starts a value of variable width.
func takeSize(code byte, b []byte) (size int, rest []byte, err error) {
	width := 1
	if code&0x10 != 0 {
		width = 4
	}
	if len(b) < width {
		return 0, nil, errMalformed
	}
	size = int(b[0])
	if width == 4 {
		size = int(binary.BigEndian.Uint32(b))
	}
	if size > len(b)-width {
		return 0, nil, errMalformed
	}
	return size, b[width:], nil
}

func decodeVariable(code byte, b []byte) any {
	switch code & 0xf {
	case 0x1:
		return string(b)
	case 0x3:
		return symbol(b)
	}
	return b
}

func decodeCompound(code byte, b []byte, depth int) (any, error) {
	count, b, err := takeCount(code, b)
	if err != nil {
		return nil, err
	}
	list := make([]any, 0, min(count, len(b)))
	for range count {
		var v any
		if v, b, err = decode(b, depth+1); err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	if code&0xf == 0x1 {
		pairs := make([][2]any, 0, count/2)
		for pair := range slices.Chunk(list[:count/2*2], 2) {
			pairs = append(pairs, [2]any{pair[0], pair[1]})
		}
		return pairs, nil
	}
	return list, nil
}

func takeCount(code byte, b []byte) (int, []byte, error) {
	width := 1
	if code&0x10 != 0 {
		width = 4
	}
	if len(b) < width {
		return 0, nil, errMalformed
	}
	count := int(b[0])
	if width == 4 {
		count = int(binary.BigEndian.Uint32(b))
	}
	return count, b[width:], nil
}

// decodeArray decodes arrays of symbols, strings and the like; others remain raw.
func decodeArray(code byte, b []byte, depth int) (any, error) {
	count, items, err := takeCount(code, b)
	if err != nil || len(items) == 0 || items[0]>>4 != 0xa && items[0]>>4 != 0xb {
		return raw(b), err
	}
	each, items := items[0], items[1:]
	var list []any
	for range count {
		v, rest, err := decode(append([]byte{each}, items...), depth+1)
		if err != nil {
			return nil, err
		}
		list, items = append(list, v), rest
	}
	return list, nil
}

// encode appends a value: nil, bool, uint8, uint16, uint32, uint64, string, symbol, []symbol, []byte, []any, described, raw.
func encode(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, 0x40)
	case bool:
		if v {
			return append(b, 0x41)
		}
		return append(b, 0x42)
	case uint8:
		return append(b, 0x50, v)
	case uint16:
		return binary.BigEndian.AppendUint16(append(b, 0x60), v)
	case uint32:
		return binary.BigEndian.AppendUint32(append(b, 0x70), v)
	case uint64:
		return binary.BigEndian.AppendUint64(append(b, 0x80), v)
	case string:
		return appendSized(append(b, 0xb1), []byte(v))
	case symbol:
		return appendSized(append(b, 0xb3), []byte(v))
	case []byte:
		return appendSized(append(b, 0xb0), v)
	case []symbol:
		items := binary.BigEndian.AppendUint32(nil, uint32(len(v)))
		items = append(items, 0xb3)
		for _, s := range v {
			items = appendSized(items, []byte(s))
		}
		return appendSized(append(b, 0xf0), items)
	case []any:
		items := binary.BigEndian.AppendUint32(nil, uint32(len(v)))
		for _, item := range v {
			items = encode(items, item)
		}
		return appendSized(append(b, 0xd0), items)
	case described:
		if v.bytes != nil {
			return append(b, v.bytes...)
		}
		return encode(append(b, 0x00, 0x53, byte(v.code)), v.value)
	case raw:
		return append(b, v...)
	}
	panic(fmt.Sprintf("amqptest: %T cannot be encoded", v))
}

func appendSized(b, content []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(content))), content...)
}

// fields are those of a performative. What is missing is nil.
type fields []any

func (f fields) at(i int) any {
	if i < len(f) {
		return f[i]
	}
	return nil
}

func (f fields) number(i int) uint32 {
	n, _ := f.at(i).(uint64)
	return uint32(min(n, math.MaxUint32))
}

func (f fields) true(i int) bool {
	v, _ := f.at(i).(bool)
	return v
}

// address returns that of a source or target.
func address(terminus any) string {
	d, _ := terminus.(described)
	list, _ := d.value.([]any)
	text, _ := fields(list).at(0).(string)
	return text
}
