package filestore

import (
	"bufio"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"sync"
	"time"

	"github.com/outgrant/outgrant/credstore/driver"
)

// A record's file is a line with the format and a checksum, a line of JSON, Info, and Sealed. The checksum is of the JSON
// and Info, and the JSON has that of Sealed, so that a list need not read much to know that it reads the truth.
const format = "outgrant record 1 "

const firstLineLen = len(format) + 2*sha256.Size + 1

// header is the line of JSON.
type header struct {
	Tenant    string    `json:"tenant"`
	Kind      string    `json:"kind"`
	Name      string    `json:"name"`
	Version   string    `json:"version"`
	Due       time.Time `json:"due,omitzero"`
	Expires   time.Time `json:"expires,omitzero"`
	Info      int64     `json:"info"`   // length
	Sealed    int64     `json:"sealed"` // length
	SealedSum string    `json:"sealedSHA256"`
}

// longestHeader is more than any header has: JSON may need six bytes for one of the key's.
const longestHeader = 32 << 10

var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, longestHeader) }}

// encode returns the content of a record's file. The record gets a new version, and times as they will be read.
func encode(r *driver.Record) ([]byte, error) {
	r.Version = rand.Text()
	r.Due, r.Expires = r.Due.UTC().Truncate(time.Microsecond), r.Expires.UTC().Truncate(time.Microsecond)
	sealedSum := sha256.Sum256(r.Sealed)
	line, err := json.Marshal(header{r.Tenant, r.Kind, r.Name, r.Version, r.Due, r.Expires,
		int64(len(r.Info)), int64(len(r.Sealed)), hex.EncodeToString(sealedSum[:])})
	if err != nil {
		return nil, fmt.Errorf("its times cannot be written: %w", err) // a year beyond 9999
	}
	line = append(line, '\n')
	sum := sha256.New()
	sum.Write(line)
	sum.Write(r.Info)

	data := make([]byte, 0, firstLineLen+len(line)+len(r.Info)+len(r.Sealed))
	data = append(data, firstLine(sum)...)
	data = append(data, line...)
	data = append(data, r.Info...)
	return append(data, r.Sealed...), nil
}

func firstLine(sum hash.Hash) string { return format + hex.EncodeToString(sum.Sum(nil)) + "\n" }

// decode reads a record from a file of the given size, with or without Sealed. It tells also without that Sealed is
// damaged, if it is no longer than the buffer, where it is anyway. With an error comes the key, if the file seems to have
// one: it may be wrong.
func decode(from io.Reader, size int64, sealed bool) (driver.Record, error) {
	file := readers.Get().(*bufio.Reader)
	file.Reset(from)
	defer readers.Put(file)

	first := make([]byte, firstLineLen)
	if _, err := io.ReadFull(file, first); err != nil {
		return driver.Record{}, readError(err)
	}
	line, err := file.ReadSlice('\n')
	if err != nil {
		return driver.Record{}, readError(err)
	}
	sum := sha256.New()
	sum.Write(line)
	var h header
	if err := json.Unmarshal(line, &h); err != nil {
		return driver.Record{}, errDamaged
	}
	r := driver.Record{Key: driver.Key{Tenant: h.Tenant, Kind: h.Kind, Name: h.Name}, Version: h.Version, Due: h.Due, Expires: h.Expires}
	rest := size - int64(firstLineLen) - int64(len(line))
	if h.Info < 0 || h.Sealed < 0 || h.Info > rest || h.Sealed != rest-h.Info {
		return driver.Record{Key: r.Key}, errDamaged
	}
	r.Info = make([]byte, h.Info)
	if _, err := io.ReadFull(file, r.Info); err != nil {
		return driver.Record{Key: r.Key}, readError(err)
	}
	sum.Write(r.Info)
	if string(first) != firstLine(sum) {
		return driver.Record{Key: r.Key}, errDamaged
	}
	var content []byte
	switch {
	case sealed:
		r.Sealed = make([]byte, h.Sealed)
		content = r.Sealed
		_, err = io.ReadFull(file, content)
	case h.Sealed <= longestHeader:
		content, err = file.Peek(int(h.Sealed))
	default:
		return r, nil
	}
	if err != nil {
		return driver.Record{Key: r.Key}, readError(err)
	}
	if s := sha256.Sum256(content); hex.EncodeToString(s[:]) != h.SealedSum {
		return driver.Record{Key: r.Key}, errDamaged
	}
	return r, nil
}

// damage is why a file that can be read is not the record that belongs there.
type damage string

func (d damage) Error() string { return string(d) }

// Is makes it match driver.ErrDamaged.
func (damage) Is(target error) bool { return target == driver.ErrDamaged }

const errDamaged = damage("its content is not what was written")

// readError tells a file that ends early from one that cannot be read.
func readError(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF || err == bufio.ErrBufferFull {
		return errDamaged
	}
	return err
}
