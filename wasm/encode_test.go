package wasm

import (
	"slices"
	"strings"
)

// The encoder writes modules as the tests need them: wrong ones too.

func leb(n uint64) []byte {
	var out []byte
	for {
		b := byte(n & 0x7f)
		n >>= 7
		if n == 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}

func sleb(n int64) []byte {
	var out []byte
	for {
		b := byte(n & 0x7f)
		n >>= 7
		if n == 0 && b&0x40 == 0 || n == -1 && b&0x40 != 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}

func join(parts ...any) []byte {
	var out []byte
	for _, p := range parts {
		switch p := p.(type) {
		case []byte:
			out = append(out, p...)
		case string:
			out = append(out, p...)
		case int:
			out = append(out, byte(p))
		}
	}
	return out
}

func text(s string) []byte { return join(leb(uint64(len(s))), s) }

func vec(items ...[]byte) []byte { return join(leb(uint64(len(items))), slices.Concat(items...)) }

func sect(id int, body []byte) []byte { return join(id, leb(uint64(len(body))), body) }

const magic = "\x00asm\x01\x00\x00\x00"

// Types of every module: () -> (), (i32) -> (), (i32×4) -> i32, (i32×2) -> i32,
// (i32) -> i32.
func types() []byte {
	return vec([]byte{0x60, 0, 0}, []byte{0x60, 1, 0x7f, 0}, []byte{0x60, 4, 0x7f, 0x7f, 0x7f, 0x7f, 1, 0x7f}, []byte{0x60, 2, 0x7f, 0x7f, 1, 0x7f}, []byte{0x60, 1, 0x7f, 1, 0x7f})
}

// Indices of the imported functions.
const (
	fdWrite, procExit, fdRead, pollOneoff, randomGet = 0, 1, 2, 3, 4
	firstFunc                                        = 5
)

func imp(module, name string, kind int, desc []byte) []byte {
	return join(text(module), text(name), kind, desc)
}

func wasiImports() [][]byte {
	return [][]byte{
		imp(wasi, "fd_write", 0, leb(2)), imp(wasi, "proc_exit", 0, leb(1)), imp(wasi, "fd_read", 0, leb(2)),
		imp(wasi, "poll_oneoff", 0, leb(2)), imp(wasi, "random_get", 0, leb(3)),
	}
}

// fn is a function: its type, groups of locals, and code without the last end.
type fn struct {
	typ    uint64
	locals []byte
	code   []byte
}

func (f fn) encode() []byte {
	locals := f.locals
	if locals == nil {
		locals = []byte{0}
	}
	body := join(locals, f.code, 0x0b)
	return join(leb(uint64(len(body))), body)
}

// guest is a module; function firstFunc is _start. Fields that are nil get what
// a good module has; an empty one leaves the section out.
type guest struct {
	imports [][]byte
	funcs   []fn
	table   []byte
	memory  []byte
	exports []byte
	start   []byte
	data    string // at 1024
	extra   []byte // a section before the code
}

func (g guest) encode() []byte {
	if g.imports == nil {
		g.imports = wasiImports()
	}
	if g.memory == nil {
		g.memory = vec(join(0, leb(4)))
	}
	if g.exports == nil {
		g.exports = vec(join(text("_start"), 0, leb(uint64(len(g.imports)))), join(text("memory"), 2, 0))
	}
	var funcs, bodies [][]byte
	for _, f := range g.funcs {
		funcs, bodies = append(funcs, leb(f.typ)), append(bodies, f.encode())
	}
	out := join(magic, sect(1, types()), sect(2, vec(g.imports...)), sect(3, vec(funcs...)))
	if len(g.table) > 0 {
		out = join(out, sect(4, g.table))
	}
	if len(g.memory) > 0 {
		out = join(out, sect(5, g.memory))
	}
	out = join(out, sect(7, g.exports))
	if len(g.start) > 0 {
		out = join(out, sect(8, g.start))
	}
	out = join(out, g.extra, sect(10, vec(bodies...)))
	if g.data != "" {
		out = join(out, sect(11, vec(join(0, 0x41, sleb(1024), 0x0b, text(g.data)))))
	}
	return out
}

func i32(n int64) []byte { return join(0x41, sleb(n)) }

func call(n uint64) []byte { return join(0x10, leb(n)) }

func store(at, value int64) []byte { return join(i32(at), i32(value), 0x36, 2, 0) }

// write writes n bytes from 1024 to a descriptor.
func write(fd, n int64) []byte {
	return join(store(0, 1024), store(4, n), i32(fd), i32(0), i32(1), i32(8), call(fdWrite), 0x1a)
}

func loop(code ...any) []byte { return join(0x03, 0x40, join(code...), 0x0c, 0, 0x0b) }

func exit(status int64) []byte { return join(i32(int64(int32(status))), call(procExit)) }

// command is a guest whose _start is code.
func command(code ...any) guest { return guest{funcs: []fn{{code: join(code...)}}} }

// says is a guest that writes text and ends.
func says(text string) guest {
	g := command(write(1, int64(len(text))))
	g.data = text
	if pages := uint64(len(text)+1024)/65536 + 1; pages > 4 {
		g.memory = vec(join(0, leb(pages)))
	}
	return g
}

const goodReply = `{"v":1,"set":{"REGION":"eu"}}`

// echo copies its input into the value of a variable's name: it reads at 2048
// and writes what it read, with random bytes nowhere.
func echo() guest {
	return command(store(0, 2048), store(4, 60000), i32(0), i32(0), i32(1), i32(8), call(fdRead), 0x1a,
		store(0, 2048), i32(4), i32(8), 0x28, 2, 0, 0x36, 2, 0,
		i32(2), i32(0), i32(1), i32(8), call(fdWrite), 0x1a, write(1, int64(len(goodReply))))
}

func repeat(b []byte, n int) []byte { return []byte(strings.Repeat(string(b), n)) }
