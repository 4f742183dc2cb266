package state

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/spawnward/spawnward/spawner/code"
)

// Put writes a record durably. One that could not be read again is refused.
func (s *Store) Put(r *Record) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		err = r.writable(data)
	}
	if err != nil {
		return s.unwritten(r, err)
	}
	return s.backends.Write(r.fileName(), append(data, '\n'))
}

// Note is Put for a backend that is not ready: all at once, and there for
// whoever comes after its launcher, however that ends, but not for what comes
// after a loss of power, when there is no such process either. What is then left
// of the file is empty, and [Store.List] passes it over. An [Intent] begins the
// file, in one line; what follows it is a second one, which costs no change of
// the directory.
func (s *Store) Note(r *Record) error {
	data, err := json.Marshal(r)
	if err == nil {
		err = r.writable(data)
	}
	if err != nil {
		return s.unwritten(r, err)
	}
	data = append(data, '\n')
	if r.Phase == Intent {
		return s.backends.Replace(r.fileName(), data)
	}
	return s.backends.Append(r.fileName(), data)
}

func (s *Store) unwritten(r *Record, err error) error {
	return code.New("write record "+filepath.Join(s.backends.Path(), r.fileName()), code.StateFailed, err)
}

// writable reports what would keep the record from being read again.
func (r *Record) writable(data []byte) error {
	if len(data) >= maxRecord/2 {
		return fmt.Errorf("%d bytes are more than a record may have", len(data))
	}
	// So the encoder writes what is not UTF-8, among others.
	if bytes.Contains(data, []byte(`\ufffd`)) {
		_, err := Decode(data)
		return err
	}
	return r.usable()
}

// latest is the last whole line of a file that [Store.Note] has begun. A line
// that is not whole is being written, or its writer was killed.
func latest(data []byte) []byte {
	end := bytes.LastIndexByte(data, '\n')
	if !bytes.HasPrefix(data, []byte(`{"`)) || end < 0 {
		return data
	}
	return data[bytes.LastIndexByte(data[:end], '\n')+1 : end]
}
