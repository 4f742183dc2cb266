package measure

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/fswalk"
)

// program is an ELF64 file for this processor with one PT_INTERP segment, changed
// by change before it is written; no interpreter when name is nil.
func program(name []byte, change func(h *elf.Header64, p *elf.Prog64)) []byte {
	h := elf.Header64{
		Type: uint16(elf.ET_DYN), Machine: uint16(machine()), Version: 1,
		Phoff: 64, Ehsize: 64, Phentsize: 56, Shentsize: 64,
	}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA], h.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), 1
	p := elf.Prog64{Type: uint32(elf.PT_INTERP), Off: 64 + 56, Filesz: uint64(len(name)), Memsz: uint64(len(name))}
	if name != nil {
		h.Phnum = 1
	}
	if change != nil {
		change(&h, &p)
	}
	var b bytes.Buffer
	for _, part := range []any{h, p, name} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}

func machine() elf.Machine {
	if runtime.GOARCH == "arm64" {
		return elf.EM_AARCH64
	}
	return elf.EM_X86_64
}

func TestELF(t *testing.T) {
	noLeak(t)
	name := []byte("/lib64/ld.so\x00")
	for title, c := range map[string]struct {
		text   []byte
		format string
		interp string
		err    string
	}{
		"dynamic":                     {program(name, nil), "elf", "/lib64/ld.so", ""},
		"static":                      {program(nil, nil), "elf", "", ""},
		"relative interpreter":        {program([]byte("ld.so\x00"), nil), "elf", "ld.so", ""},
		"bytes after the name":        {program([]byte("/a\x00/b\x00"), nil), "elf", "/a", ""},
		"name without an end":         {program([]byte("/lib64/ld.so"), nil), "unknown", "", "without an end"},
		"empty name":                  {program([]byte("\x00\x00"), nil), "unknown", "", "without letters"},
		"name of no bytes":            {program([]byte{}, func(h *elf.Header64, _ *elf.Prog64) { h.Phnum = 1 }), "unknown", "", "0 bytes"},
		"name too long":               {program(append(bytes.Repeat([]byte("x"), 4096), 0), nil), "unknown", "", "4097 bytes"},
		"name beyond the end":         {program(name, func(_ *elf.Header64, p *elf.Prog64) { p.Off = 1 << 20 }), "unknown", "", "EOF"},
		"negative offset":             {program(name, func(_ *elf.Header64, p *elf.Prog64) { p.Off = 1 << 63 }), "unknown", "", ""},
		"object file":                 {program(name, func(h *elf.Header64, _ *elf.Prog64) { h.Type = uint16(elf.ET_REL) }), "unknown", "", "no program"},
		"core file":                   {program(name, func(h *elf.Header64, _ *elf.Prog64) { h.Type = uint16(elf.ET_CORE) }), "unknown", "", "no program"},
		"magic alone":                 {[]byte(elf.ELFMAG), "unknown", "", "EOF"},
		"truncated header":            {program(name, nil)[:63], "unknown", "", "EOF"},
		"truncated segments":          {program(name, nil)[:80], "unknown", "", "EOF"},
		"headers elsewhere":           {program(name, func(h *elf.Header64, _ *elf.Prog64) { h.Phoff = 1 << 40 }), "unknown", "", ""},
		"wrong entry size":            {program(name, func(h *elf.Header64, _ *elf.Prog64) { h.Phentsize = 1 }), "unknown", "", ""},
		"sections of another program": {program(name, func(h *elf.Header64, _ *elf.Prog64) { h.Shoff, h.Shnum = 1<<40, 3 }), "unknown", "", ""},
		// The kernel reads these as a 64-bit little-endian program all the same.
		"claims to be 32-bit":      {program(name, func(h *elf.Header64, _ *elf.Prog64) { h.Ident[elf.EI_CLASS] = byte(elf.ELFCLASS32) }), "unknown", "", ""},
		"claims to be big-endian":  {program(name, func(h *elf.Header64, _ *elf.Prog64) { h.Ident[elf.EI_DATA] = byte(elf.ELFDATA2MSB) }), "unknown", "", ""},
		"claims an unknown class":  {program(name, func(h *elf.Header64, _ *elf.Prog64) { h.Ident[elf.EI_CLASS] = 9 }), "unknown", "", ""},
		"another processor's":      {program(name, func(h *elf.Header64, _ *elf.Prog64) { h.Machine = uint16(elf.EM_SPARCV9) }), "unknown", "", "through a helper"},
		"empty":                    {nil, "unknown", "", ""},
		"text":                     {[]byte("hello"), "unknown", "", ""},
		"another system's program": {[]byte("MZ\x90\x00"), "unknown", "", ""},
		"half a script":            {[]byte("#"), "unknown", "", ""},
	} {
		t.Run(title, func(t *testing.T) {
			dir := tree(t, "app/bin="+string(c.text))
			f := measured(t, dir+"/app/bin", dir+"/app").Binary
			require.Equal(t, c.format, f.Format)
			require.Equal(t, c.interp, f.Interp.Path)
			require.Contains(t, f.Interp.Error, c.err)
		})
	}
}

// smuggled is read by debug/elf as a static 32-bit program, while the kernel,
// which looks at the machine only, takes the 64-bit layout and its interpreter.
func TestClassThatTheKernelIgnores(t *testing.T) {
	text := program([]byte("/tmp/evil\x00"), func(h *elf.Header64, _ *elf.Prog64) { h.Ident[elf.EI_CLASS] = byte(elf.ELFCLASS32) })
	_, err := elfInterpreter(bytes.NewReader(text))
	require.Error(t, err)
}

func TestInterpreterFacts(t *testing.T) {
	noLeak(t)
	dir := tree(t, "ld/real=LOADER", "ld/link=->real", "ld/raw\xff=RAW", "ld/raw?=TRAP", "ld/rawlink=->raw\xff", "ld/dir/")
	for name, c := range map[string]struct{ path, canonical, text, err string }{
		"file":               {dir + "/ld/real", dir + "/ld/real", "LOADER", ""},
		"link":               {dir + "/ld/link", dir + "/ld/real", "LOADER", ""},
		"missing":            {dir + "/ld/none", "", "", "no such file"},
		"relative":           {"ld", "", "", "not an absolute path"},
		"not UTF-8":          {dir + "/ld/raw\xff", "", "", "UTF-8"},
		"link to not UTF-8":  {dir + "/ld/rawlink", "", "", "UTF-8"},
		"directory":          {dir + "/ld/dir", dir + "/ld/dir", "", "not an interpreter"},
		"device":             {"/dev/null", "/dev/null", "", "not an interpreter"},
		"the root directory": {"/", "/", "", "not an interpreter"},
	} {
		t.Run(name, func(t *testing.T) {
			bin := tree(t, "app/bin="+string(program([]byte(c.path+"\x00"), nil)))
			f := measured(t, bin+"/app/bin", bin+"/app").Binary
			require.Equal(t, "elf", f.Format)
			require.Equal(t, c.canonical, f.Interp.Canonical)
			require.Contains(t, f.Interp.Error, c.err)
			require.Equal(t, c.err == "", f.Interp.Error == "")
			require.Equal(t, c.text != "", f.Interp.SHA256 != "")
			if c.text != "" {
				sum := sha256.Sum256([]byte(c.text))
				require.Equal(t, hex.EncodeToString(sum[:]), f.Interp.SHA256)
				require.True(t, f.Interp.WritableByOthers, "it stands below a temporary directory")
				require.False(t, f.Interp.SystemPlace)
			}
		})
	}
}

func TestThisMachinesOwnLoader(t *testing.T) {
	f := measured(t, "/bin/sh", "/usr").Binary
	if f.Format != "elf" || f.Interp.Path == "" {
		t.Skip("no dynamic shell here")
	}
	require.Empty(t, f.Interp.Error)
	require.True(t, f.Interp.SystemPlace)
	require.Len(t, f.Interp.SHA256, 64)
}

func TestScriptInterpreterAsTheKernelTakesIt(t *testing.T) {
	pad := func(s string) string { return s + strings.Repeat("x", headSize-len(s)) }
	for text, want := range map[string]string{
		"#!/bin/sh\n":                   "/bin/sh",
		"#!/bin/sh":                     "/bin/sh",
		"#! \t /bin/sh \t-e x\n":        "/bin/sh",
		"#!/bin/sh\r\n":                 "/bin/sh\r",
		"#!/bin/sh\v-e\n":               "/bin/sh\v-e",
		"#!/bin/sh\u00a0x\n":            "/bin/sh\u00a0x",
		"#!/bin/sh\xff\n":               "/bin/sh\xff",
		"#!/bin/sh\x00-e\n":             "/bin/sh",
		"#!\n/bin/sh\n":                 "",
		"#!   \n":                       "",
		"#!":                            "",
		"#!\x00/bin/sh\n":               "",
		pad("#!/bin/sh"):                "",
		pad("#!/bin/sh -e"):             "/bin/sh",
		pad("#!/bin/sh\n"):              "/bin/sh",
		"#!" + strings.Repeat(" ", 254): "",
	} {
		require.Equal(t, want, scriptInterpreter([]byte(text)[:min(len(text), headSize)]), "%q", text)
	}
	dir := tree(t, "app/bin=#!/bin/sh\xff\n", "app/good=#!/bin/sh\n")
	f := measured(t, dir+"/app/bin", dir+"/app").Binary
	require.Equal(t, "script", f.Format)
	require.NotEmpty(t, f.Interp.Error)
	require.Empty(t, f.Interp.SHA256)
	f = measured(t, dir+"/app/good", dir+"/app").Binary
	require.Equal(t, "script", f.Format)
	require.Len(t, f.Interp.SHA256, 64)
}

func FuzzFormat(f *testing.F) {
	f.Add(program([]byte("/lib64/ld.so\x00"), nil))
	f.Add(program(nil, nil))
	f.Add([]byte("#! /bin/sh -e\n"))
	f.Add([]byte("#!"))
	ids := fswalk.NewIdentities(os.Geteuid())
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // no interpreter is hashed
	f.Fuzz(func(t *testing.T, text []byte) {
		path := t.TempDir() + "/bin"
		require.NoError(t, os.WriteFile(path, text, 0o600))
		file, err := os.Open(path)
		require.NoError(t, err)
		defer file.Close()
		kind, in, _ := format(ctx, file, ids)
		require.Contains(t, []string{"elf", "script", "unknown"}, kind)
		require.True(t, kind != "unknown" || in.Path == "")
	})
}
