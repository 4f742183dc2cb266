package wasm

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
)

const wasi = "wasi_snapshot_preview1"

// allowedImports are the seventeen functions that a program needs which reads
// standard input and writes standard output and error. Sixteen are what Go's
// wasip1 port links into every program: the arguments and environment that its
// runtime asks for, clock, randomness, scheduling, the three standard streams,
// and the questions that find no directory open. fd_seek is the seventeenth:
// wasi-libc's stdio asks it whether a stream is a file. Rust, AssemblyScript
// (with its WASI shim) and Zig need a part of these as long as the program
// opens no files; path_open and its family, sockets, and the changing of files
// have no use in a hook.
func allowedImports() []string {
	return []string{
		"args_get", "args_sizes_get", "clock_time_get", "environ_get", "environ_sizes_get",
		"fd_close", "fd_fdstat_get", "fd_fdstat_set_flags", "fd_prestat_dir_name", "fd_prestat_get",
		"fd_read", "fd_seek", "fd_write", "poll_oneoff", "proc_exit", "random_get", "sched_yield",
	}
}

func (g *gate) typeSection(r *reader) error {
	return each(r, "types", maxItems, func(uint32) error {
		form, err := r.byte()
		if err != nil {
			return err
		}
		if form != 0x60 {
			return fmt.Errorf("form %#x is not a function; build for WebAssembly 2.0", form)
		}
		var t funcType
		for _, n := range []*int{&t.params, &t.results} {
			err := each(r, "values", maxValues, func(uint32) error {
				*n++
				_, err := r.numberType()
				return err
			})
			if err != nil {
				return err
			}
		}
		g.types = append(g.types, t)
		return nil
	})
}

func (g *gate) importSection(r *reader) error {
	allowed := allowedImports()
	return each(r, "imports", maxItems, func(uint32) error {
		module, err := r.name()
		if err != nil {
			return err
		}
		name, err := r.name()
		if err != nil {
			return err
		}
		kind, err := r.byte()
		if err != nil {
			return err
		}
		full := strconv.Quote(module + "." + name)
		if kind != 0 {
			return fmt.Errorf("%s is a %s; only functions may be imported", full, kindName(kind))
		}
		if module != wasi || !slices.Contains(allowed, name) {
			return fmt.Errorf("%s is not a function that hooks may use: a hook reads standard input, writes standard output and opens nothing; remove what links it (in Go that is opening files, or text/template)", full)
		}
		t, err := g.typeIndex(r)
		if err != nil {
			return err
		}
		g.imports = append(g.imports, t)
		g.m.Imports = append(g.m.Imports, name)
		return nil
	})
}

func kindName(kind byte) string {
	if names := []string{"function", "table", "memory", "global"}; int(kind) < len(names) {
		return names[kind]
	}
	return fmt.Sprintf("thing of unknown kind %#x", kind)
}

func (g *gate) typeIndex(r *reader) (uint32, error) {
	t, err := r.u32()
	if err == nil && int64(t) >= int64(len(g.types)) {
		err = fmt.Errorf("type %d does not exist", t)
	}
	return t, err
}

func (g *gate) functionSection(r *reader) error {
	return each(r, "functions", MaxFunctions-uint32(min(len(g.imports), MaxFunctions)), func(uint32) error {
		t, err := g.typeIndex(r)
		g.funcs = append(g.funcs, t)
		return err
	})
}

func (g *gate) tableSection(r *reader) error {
	return each(r, "tables", 1, func(uint32) error {
		t, err := r.byte()
		if err != nil {
			return err
		}
		if t != 0x70 {
			return fmt.Errorf("element type %#x is not funcref; build without reference types", t)
		}
		g.tables++
		_, err = limits(r, "table elements", MaxTable)
		return err
	})
}

func (g *gate) memorySection(r *reader) error {
	return each(r, "memories", 1, func(uint32) error {
		g.memories++
		pages, err := limits(r, "pages of memory", MaxMemoryPages)
		g.m.MemoryPages = pages
		return err
	})
}

// limits reads a minimum and, if there is one, a maximum.
func limits(r *reader, what string, most uint32) (uint32, error) {
	flags, err := r.byte()
	if err != nil {
		return 0, err
	}
	if flags > 1 {
		return 0, fmt.Errorf("limits of kind %#x: shared and 64-bit memories are not allowed; build without threads and for wasm32", flags)
	}
	low, err := r.u32()
	if err != nil {
		return 0, err
	}
	if low > most {
		return 0, fmt.Errorf("it starts with %d %s, at most %d are allowed", low, what, most)
	}
	if flags == 0 {
		return low, nil
	}
	high, err := r.u32()
	if err == nil && (high > most || high < low) {
		err = fmt.Errorf("it declares a maximum of %d %s; give one from %d to %d, or none", high, what, low, most)
	}
	return low, err
}

func (g *gate) globalSection(r *reader) error {
	return each(r, "globals", maxItems, func(uint32) error {
		if _, err := r.numberType(); err != nil {
			return err
		}
		if err := r.skip(1); err != nil {
			return err
		}
		return g.constant(r)
	})
}

func (g *gate) exportSection(r *reader) error {
	return each(r, "exports", maxItems, func(uint32) error {
		name, err := r.name()
		if err != nil {
			return err
		}
		kind, err := r.byte()
		if err != nil {
			return err
		}
		index, err := r.u32()
		if err != nil {
			return err
		}
		switch {
		case name == "_start" && kind != 0:
			return fmt.Errorf("_start is a %s, not a function; build a WASI command", kindName(kind))
		case name == "_start":
			t, ok := g.typeOf(index)
			if !ok || t != (funcType{}) {
				return errors.New("_start takes parameters or returns results; it must be () -> ()")
			}
			g.start = true
		case name == "memory" && kind == 2 && index < g.memories:
			g.memory = true
		}
		return nil
	})
}

func (g *gate) startSection(r *reader) error {
	index, err := r.u32()
	if err != nil {
		return err
	}
	if t, ok := g.typeOf(index); !ok || t != (funcType{}) {
		return errors.New("the start function does not exist or is not () -> ()")
	}
	return nil
}

func (g *gate) elementSection(r *reader) error {
	return each(r, "element segments", maxItems, func(i uint32) error {
		if err := g.element(r); err != nil {
			return fmt.Errorf("segment %d: %w", i, err)
		}
		return nil
	})
}

// element reads a segment. Bit 0 of its kind: passive or declared; bit 1: an
// explicit table, or declared; bit 2: expressions instead of indices.
func (g *gate) element(r *reader) error {
	kind, err := r.u32()
	if err != nil {
		return err
	}
	if kind > 7 {
		return fmt.Errorf("kind %d does not exist", kind)
	}
	if kind&1 == 0 {
		if kind&2 != 0 {
			if _, err := r.u32(); err != nil {
				return err
			}
		}
		if err := g.constant(r); err != nil {
			return err
		}
	}
	if kind&3 != 0 {
		if err := r.skip(1); err != nil { // element kind or type
			return err
		}
	}
	return each(r, "elements", MaxTable, func(uint32) error {
		if kind&4 != 0 {
			return g.constant(r)
		}
		_, err := r.u32()
		return err
	})
}

func (g *gate) dataCountSection(r *reader) error {
	n, err := r.u32()
	if err == nil && n > maxData {
		err = fmt.Errorf("%d data segments, at most %d are allowed", n, maxData)
	}
	return err
}

func (g *gate) dataSection(r *reader) error {
	return each(r, "data segments", maxData, func(uint32) error {
		kind, err := r.u32()
		if err != nil {
			return err
		}
		if kind > 2 {
			return fmt.Errorf("kind %d does not exist", kind)
		}
		if kind == 2 {
			if _, err := r.u32(); err != nil {
				return err
			}
		}
		if kind != 1 {
			if err := g.constant(r); err != nil {
				return err
			}
		}
		n, err := r.u32()
		if err != nil {
			return err
		}
		return r.skip(n)
	})
}

// each reads a count of at most limit and calls read that often.
func each(r *reader, what string, limit uint32, read func(i uint32) error) error {
	n, err := r.count(what, limit)
	if err != nil {
		return err
	}
	for i := range n {
		if err := read(i); err != nil {
			return err
		}
	}
	return nil
}
