package wasm

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"unsafe"

	"github.com/tetratelabs/wazero"
)

// precompiled is machine code on its way in or out of a worker: the engine's key
// for it, and the code. It has the methods of the engine's own cache of files.
type precompiled struct{ key, code []byte }

// Get gives the code when it is the one that the engine asks for.
func (p *precompiled) Get(key [32]byte) (io.ReadCloser, bool, error) {
	if !bytes.Equal(p.key, key[:]) {
		return nil, false, nil
	}
	return io.NopCloser(bytes.NewReader(p.code)), true, nil
}

// Add keeps the code that the engine has made.
func (p *precompiled) Add(key [32]byte, content io.Reader) (err error) {
	p.key = key[:]
	p.code, err = io.ReadAll(content)
	return err
}

// Delete drops code of another release of the engine.
func (p *precompiled) Delete([32]byte) error {
	*p = precompiled{}
	return nil
}

// bytes is both in one; key and code of nothing are empty.
func (p *precompiled) bytes() []byte { return append(bytes.Clone(p.key), p.code...) }

func precompiledOf(own []byte) *precompiled {
	if len(own) <= 32 {
		return &precompiled{}
	}
	return &precompiled{own[:32], own[32:]}
}

// cache makes p a cache of the engine's. The one kind that the engine exports
// opens files, which a worker cannot; what stands behind that is put in its place
// here, and a test fails when a release of the engine no longer has it.
func (p *precompiled) cache() (wazero.CompilationCache, error) {
	c := wazero.NewCompilationCache()
	field := reflect.ValueOf(c).Elem().FieldByName("fileCache")
	if !field.IsValid() || !reflect.TypeOf(p).AssignableTo(field.Type()) {
		return nil, errors.New("this release of the engine takes no precompiled code")
	}
	reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem().Set(reflect.ValueOf(p))
	return c, nil
}
