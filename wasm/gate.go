package wasm

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/spawnward/spawnward/spawner/code"
)

// Limits of a module. What exceeds one is refused before any compiler sees it.
const (
	MaxModule      = 8 << 20   // bytes of the file
	MaxFunctions   = 50_000    // functions, imported ones included
	MaxBody        = 128 << 10 // bytes of one function
	MaxLocals      = 10_000    // local variables of one function, parameters excluded
	MaxTable       = 65_536    // elements of the one table
	MaxMemoryPages = 512       // pages of 64 KiB
	MaxNesting     = 4_000     // blocks within each other in one function

	maxName   = 1 << 10 // bytes of a name in the module
	maxItems  = 50_000  // types, globals, exports, element segments
	maxData   = 500_000 // data segments: Go leaves out every run of zeros
	maxValues = 1_000   // parameters or results of one type
)

// Module is a module that has passed the gate; its zero value is none and runs
// nowhere. It is safe for use by several goroutines.
type Module struct {
	// SHA256 is the digest of the whole file, 64 lower-case hexadecimal digits.
	SHA256 string
	// Size is the file's length in bytes, Functions how many it defines.
	Size, Functions int
	// Imports are the names of the WASI functions it imports, sorted.
	Imports []string
	// MemoryPages is how much memory it starts with, in pages of 64 KiB.
	MemoryPages uint32

	// code is the file without custom sections: debugging data and names are
	// nothing that a compiler needs to parse.
	code []byte
}

// Check is the gate: it reads the module's structure, compiles nothing, and
// takes time and memory linear in the length of data. An error has the code
// hook_invalid and says where the module is wrong and what to do about it.
func Check(data []byte) (*Module, error) {
	m, err := check(data)
	if err != nil {
		return nil, err
	}
	return m, nil
}

// check is Check, but tells the digest and size of a bad module too.
func check(data []byte) (*Module, error) {
	sum := sha256.Sum256(data)
	g := gate{m: &Module{SHA256: hex.EncodeToString(sum[:]), Size: len(data)}}
	if err := g.module(data); err != nil {
		return g.m, code.New("check the module", code.HookInvalid, err)
	}
	slices.Sort(g.m.Imports)
	g.m.Imports = slices.Compact(g.m.Imports)
	return g.m, nil
}

// gate is what is known of a module while it is read.
type gate struct {
	m        *Module
	types    []funcType
	imports  []uint32 // type of each imported function
	funcs    []uint32 // type of each defined function
	tables   uint32
	memories uint32
	bodies   uint32
	start    bool // _start is exported
	memory   bool // a memory is exported
}

type funcType struct{ params, results int }

// section is one kind of section: its place in the order of the format, and
// what reads it.
type section struct {
	name  string
	order int
	read  func(*gate, *reader) error
}

func sectionOf(id byte) (section, bool) {
	all := []section{
		1:  {"type", 1, (*gate).typeSection},
		2:  {"import", 2, (*gate).importSection},
		3:  {"function", 3, (*gate).functionSection},
		4:  {"table", 4, (*gate).tableSection},
		5:  {"memory", 5, (*gate).memorySection},
		6:  {"global", 6, (*gate).globalSection},
		7:  {"export", 7, (*gate).exportSection},
		8:  {"start", 8, (*gate).startSection},
		9:  {"element", 9, (*gate).elementSection},
		10: {"code", 11, (*gate).codeSection},
		11: {"data", 12, (*gate).dataSection},
		12: {"data count", 10, (*gate).dataCountSection},
	}
	if id == 0 || int(id) >= len(all) {
		return section{}, false
	}
	return all[id], true
}

func (g *gate) module(data []byte) error {
	const header = "\x00asm\x01\x00\x00\x00"
	switch {
	case len(data) > MaxModule:
		return fmt.Errorf("the file has %d bytes, at most %d are allowed; strip debugging data (wasm-strip, -ldflags=-s -w) or build with less", len(data), MaxModule)
	case len(data) == 0:
		return errors.New("the file is empty; build it again")
	case len(data) < len(header) || string(data[:4]) != header[:4]:
		return errors.New("the file is not a WebAssembly module; give the .wasm file that the toolchain wrote")
	case string(data[:8]) != header:
		return errors.New("the file is a component or another version of WebAssembly; build a core module for WASI preview 1 (wasip1)")
	}
	g.m.code = append(make([]byte, 0, len(data)), header...)
	r := &reader{data: data, at: len(header)}
	last := 0
	for r.left() > 0 {
		from := r.at
		order, err := g.section(r, last)
		if err != nil {
			return fmt.Errorf("at byte %d: %w", from, err)
		}
		if order > 0 {
			g.m.code = append(g.m.code, data[from:r.at]...)
			last = order
		}
	}
	return g.whole()
}

// section reads one section; custom sections have the order 0.
func (g *gate) section(r *reader, last int) (int, error) {
	id, _ := r.byte() // the caller has seen that there is one
	size, err := r.u32()
	if err != nil {
		return 0, fmt.Errorf("section %d: %w", id, err)
	}
	body, err := r.bytes(size)
	if err != nil {
		return 0, fmt.Errorf("section %d has %d bytes: %w; the file is cut off", id, size, err)
	}
	if id == 0 {
		return 0, nil
	}
	s, ok := sectionOf(id)
	if !ok {
		return 0, fmt.Errorf("section %d is of a proposal that hooks may not use; build for WebAssembly 2.0", id)
	}
	if s.order <= last {
		return 0, fmt.Errorf("the %s section is repeated or out of order", s.name)
	}
	in := &reader{data: body}
	if err := s.read(g, in); err != nil {
		return 0, fmt.Errorf("%s section: %w", s.name, err)
	}
	if in.left() > 0 {
		return 0, fmt.Errorf("%s section: %d bytes are left over", s.name, in.left())
	}
	return s.order, nil
}

// whole checks what no single section can tell.
func (g *gate) whole() error {
	switch {
	case int(g.bodies) != len(g.funcs):
		return fmt.Errorf("%d functions are declared and %d have code", len(g.funcs), g.bodies)
	case !g.start:
		return errors.New("it exports no function _start; build a WASI command, not a library or reactor")
	case g.memories == 0:
		return errors.New("it has no memory; build a WASI command")
	case !g.memory:
		return errors.New(`its memory is not exported; export it as "memory"`)
	}
	g.m.Functions = len(g.funcs)
	return nil
}

// typeOf is the type of a function of the module's index space.
func (g *gate) typeOf(index uint32) (funcType, bool) {
	n := uint32(len(g.imports))
	var t uint32
	switch {
	case index < n:
		t = g.imports[index]
	case int(index-n) < len(g.funcs):
		t = g.funcs[index-n]
	default:
		return funcType{}, false
	}
	return g.types[t], true
}
