package wasm

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/code"
)

// refusedByGate are modules that must meet no compiler, with a part of the
// message that says so.
func refusedByGate() map[string]struct {
	module []byte
	want   string
} {
	good := says(goodReply).encode()
	with := func(change func(*guest)) []byte {
		g := says(goodReply)
		change(&g)
		return g.encode()
	}
	locals := func(groups ...[]byte) []byte {
		return guest{funcs: []fn{{locals: vec(groups...)}}}.encode()
	}
	code := func(parts ...any) []byte { return command(parts...).encode() }
	return map[string]struct {
		module []byte
		want   string
	}{
		"empty":                  {nil, "empty"},
		"text":                   {[]byte("(module)\n"), "not a WebAssembly module"},
		"component":              {[]byte("\x00asm\x0d\x00\x01\x00"), "component"},
		"truncated":              {good[:len(good)-3], "cut off"},
		"header only":            {[]byte(magic), "no function _start"},
		"too large":              {make([]byte, MaxModule+1), "at most 8388608"},
		"trailing byte":          {append(append([]byte{}, good...), 13), "section 13"},
		"repeated section":       {append(append([]byte{}, good...), sect(11, vec())...), "repeated or out of order"},
		"four billion locals":    {locals(join(leb(1<<32-1), 0x7f)), "4294967295 locals"},
		"locals overflow":        {locals(join(leb(1<<32-1), 0x7f), join(leb(1<<32-1), 0x7f), join(leb(3), 0x7f)), "8589934593 locals"},
		"locals one over":        {locals(join(leb(MaxLocals+1), 0x7f)), "10001 locals"},
		"many functions":         {guest{funcs: make([]fn, 100_000)}.encode(), "100000 functions"},
		"huge body":              {code(repeat([]byte{0x01}, MaxBody)), "at most 131072"},
		"nested blocks":          {code(repeat([]byte{0x02, 0x40}, MaxNesting), repeat([]byte{0x0b}, MaxNesting)), "nested deeper"},
		"nested ifs":             {code(repeat([]byte{0x41, 0, 0x04, 0x40}, MaxNesting), repeat([]byte{0x0b}, MaxNesting)), "nested deeper"},
		"unclosed":               {guest{funcs: []fn{{code: []byte{0x02, 0x40}}}}.encode(), "ends in the middle"},
		"bytes after the end":    {code(0x0b), "follow its end"},
		"memory too large":       {with(func(g *guest) { g.memory = vec(join(0, leb(MaxMemoryPages+1))) }), "513 pages"},
		"memory may grow":        {with(func(g *guest) { g.memory = vec(join(1, leb(1), leb(65536))) }), "maximum of 65536 pages"},
		"shared memory":          {with(func(g *guest) { g.memory = vec(join(3, leb(1), leb(2))) }), "threads"},
		"memory of 64 bits":      {with(func(g *guest) { g.memory = vec(join(4, leb(1))) }), "wasm32"},
		"two memories":           {with(func(g *guest) { g.memory = vec(join(0, 1), join(0, 1)) }), "2 memories"},
		"no memory":              {with(func(g *guest) { g.memory = []byte{}; g.data = "" }), "no memory"},
		"memory not exported":    {with(func(g *guest) { g.exports = vec(join(text("_start"), 0, firstFunc)) }), "not exported"},
		"large table":            {with(func(g *guest) { g.table = vec(join(0x70, 0, leb(MaxTable+1))) }), "65537 table elements"},
		"table may grow":         {with(func(g *guest) { g.table = vec(join(0x70, 1, leb(1), leb(1<<31))) }), "maximum of 2147483648"},
		"table of references":    {with(func(g *guest) { g.table = vec(join(0x6f, 0, 1)) }), "reference types"},
		"no _start":              {with(func(g *guest) { g.exports = vec(join(text("memory"), 2, 0)) }), "no function _start"},
		"_start is a memory":     {with(func(g *guest) { g.exports = vec(join(text("_start"), 2, 0)) }), "_start is a memory"},
		"_start takes a value":   {with(func(g *guest) { g.exports = vec(join(text("_start"), 0, procExit), join(text("memory"), 2, 0)) }), "() -> ()"},
		"_start does not exist":  {with(func(g *guest) { g.exports = vec(join(text("_start"), 0, 99)) }), "() -> ()"},
		"bad start function":     {with(func(g *guest) { g.start = leb(procExit) }), "start function"},
		"path_open":              {with(func(g *guest) { g.imports = append(wasiImports(), imp(wasi, "path_open", 0, leb(2))) }), "wasi_snapshot_preview1.path_open"},
		"sock_accept":            {with(func(g *guest) { g.imports = append(wasiImports(), imp(wasi, "sock_accept", 0, leb(2))) }), "opens nothing"},
		"host function":          {with(func(g *guest) { g.imports = append(wasiImports(), imp("env", "sys\x1b[2Jtem", 0, leb(2))) }), `"env.sys\x1b[2Jtem"`},
		"imported memory":        {with(func(g *guest) { g.imports = append(wasiImports(), imp("env", "memory", 2, []byte{0, 1})) }), "is a memory"},
		"imported type unknown":  {with(func(g *guest) { g.imports = append(wasiImports(), imp(wasi, "fd_write", 0, leb(9))) }), "type 9"},
		"SIMD":                   {code(0xfd, 0x0c, repeat([]byte{0}, 16), 0x1a), "SIMD"},
		"vector local":           {locals(join(1, 0x7b)), "SIMD"},
		"threads":                {code(0xfe, 0x03, 0), "threads"},
		"tail call":              {code(0x12, 0), "tail call"},
		"exceptions":             {code(0x06, 0x40, 0x0b), "exception"},
		"table.grow":             {code(0xfc, 15, 0), "reference types"},
		"table.fill":             {code(0xfc, 17, 0), "reference types"},
		"long form of an opcode": {code(i32(0), i32(0), i32(0), 0xfc, 0x8b, 0x00, 0), "0xfc 0x8b"},
		"a million branches":     {code(i32(0), 0x0e, leb(1_000_000), 0), "branches"},
		"type count":             {join(magic, sect(1, leb(1<<32-1))), "4294967295 types"},
		"count without items":    {join(magic, sect(1, leb(40_000))), "ends in the middle"},
		"long number":            {join(magic, sect(1, repeat([]byte{0x80}, 8))), "longer than its type"},
		"parameters":             {join(magic, sect(1, join(1, 0x60, leb(5000), repeat([]byte{0x7f}, 5000), 0))), "5000 values"},
		"long name":              {join(magic, sect(1, types()), sect(2, join(1, leb(1<<20), repeat([]byte{'a'}, 1<<20)))), "name of 1048576 bytes"},
		"data count":             {with(func(g *guest) { g.extra = sect(12, leb(1<<31)) }), "2147483648 data segments"},
		"code without function":  {join(magic, sect(10, vec(fn{}.encode()))), "0 functions are declared"},
	}
}

func TestGateRefuses(t *testing.T) {
	for name, c := range refusedByGate() {
		t.Run(name, func(t *testing.T) {
			m, err := Check(c.module)
			require.ErrorContains(t, err, c.want)
			require.Nil(t, m)
			got, _ := code.Of(err)
			require.Equal(t, code.HookInvalid, got)
			require.NotContains(t, err.Error(), "\x1b")
		})
	}
}

func TestGatePasses(t *testing.T) {
	g := says(goodReply)
	g.table = vec(join(0x70, 1, 1, leb(MaxTable)))
	data := g.encode()
	// A custom section may be anything: it is dropped.
	data = join(data, sect(0, join(text("name"), repeat([]byte{0xff}, 10))))
	m, err := Check(data)
	require.NoError(t, err)
	sum := sha256.Sum256(data)
	require.Equal(t, hex.EncodeToString(sum[:]), m.SHA256)
	require.Equal(t, g.encode(), m.code)
	require.Equal(t, []string{"fd_read", "fd_write", "poll_oneoff", "proc_exit", "random_get"}, m.Imports)
	require.Equal(t, 1, m.Functions)
	require.EqualValues(t, 4, m.MemoryPages)
	require.Len(t, allowedImports(), 17)

	for name, code := range map[string][]byte{
		"at the limit of locals":      nil,
		"at the limit of blocks":      join(repeat([]byte{0x02, 0x40}, MaxNesting-1), repeat([]byte{0x0b}, MaxNesting-1)),
		"call_indirect with long 0":   join(i32(0), 0x11, 0, 0x80, 0x80, 0x80, 0x80, 0x00),
		"saturating and bulk":         join(0x43, 0, 0, 0, 0, 0xfc, 0, 0x1a, i32(0), i32(0), i32(0), 0xfc, 11, 0),
		"branch table":                join(0x02, 0x40, i32(0), 0x0e, 1, 0, 0, 0x0b),
		"constants":                   join(0x42, 1, 0x1a, 0x44, 0, 0, 0, 0, 0, 0, 0, 0, 0x1a),
		"sign extension, memory.size": join(i32(1), 0xc0, 0x1a, 0x3f, 0, 0x1a),
	} {
		g := guest{funcs: []fn{{code: code, locals: vec(join(leb(MaxLocals), 0x7f))}}, table: vec(join(0x70, 0, 1))}
		_, err := Check(g.encode())
		require.NoError(t, err, name)
	}
}

func FuzzGate(f *testing.F) {
	f.Add(says(goodReply).encode())
	for _, c := range refusedByGate() {
		if len(c.module) < 4096 {
			f.Add(c.module)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Check(data)
		if err != nil {
			require.Nil(t, m)
			return
		}
		again, err := Check(m.code)
		require.NoError(t, err, "what is compiled passes the gate too")
		require.Equal(t, m.code, again.code)
	})
}
