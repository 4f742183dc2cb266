package wasm

import (
	"errors"
	"fmt"
)

func (g *gate) codeSection(r *reader) error {
	return each(r, "functions", MaxFunctions, func(i uint32) error {
		g.bodies++
		if err := g.body(r); err != nil {
			return fmt.Errorf("function %d: %w", uint64(i)+uint64(len(g.imports)), err)
		}
		return nil
	})
}

func (g *gate) body(r *reader) error {
	size, err := r.u32()
	if err != nil {
		return err
	}
	if size > MaxBody {
		return fmt.Errorf("its code has %d bytes, at most %d are allowed; split the function or build with less inlining", size, MaxBody)
	}
	data, err := r.bytes(size)
	if err != nil {
		return err
	}
	in := &reader{data: data}
	var locals uint64 // MaxLocals groups of 2³² do not overflow it
	err = each(in, "groups of locals", MaxLocals, func(uint32) error {
		n, err := in.u32()
		if err != nil {
			return err
		}
		locals += uint64(n)
		_, err = in.numberType()
		return err
	})
	if err != nil {
		return err
	}
	if locals > MaxLocals {
		return fmt.Errorf("it has %d locals, at most %d are allowed; split the function", locals, MaxLocals)
	}
	return g.expression(in, true)
}

// constant reads an initialiser.
func (g *gate) constant(r *reader) error { return g.expression(r, false) }

// expression passes over instructions up to the end that closes them. In a body
// that end must be the last byte.
func (g *gate) expression(r *reader, body bool) error {
	for depth := 1; depth > 0; {
		from := r.at
		op, err := r.byte()
		if err != nil {
			return err
		}
		switch op {
		case 0x02, 0x03, 0x04: // block, loop, if
			depth++
			if !body {
				return errors.New("an initialiser contains a block")
			}
			if depth > MaxNesting {
				return fmt.Errorf("its blocks are nested deeper than %d; split the function", MaxNesting)
			}
			err = r.skipNumber(5)
		case 0x0b:
			depth--
		default:
			err = instruction(r, op)
		}
		if err != nil {
			return fmt.Errorf("instruction at byte %d: %w", from, err)
		}
	}
	if body && r.left() > 0 {
		return fmt.Errorf("%d bytes follow its end", r.left())
	}
	return nil
}

// instruction passes over the operands of one plain instruction of WebAssembly
// 2.0 without vectors and references.
func instruction(r *reader, op byte) error {
	switch {
	case op == 0x0e: // br_table
		err := each(r, "branches", MaxBody, func(uint32) error { return indices(r, 1) })
		if err != nil {
			return err
		}
		return indices(r, 1)
	case op == 0x0c, op == 0x0d, op == 0x10, op >= 0x20 && op <= 0x24, op == 0xd2: // branches, call, variables, ref.func
		return indices(r, 1)
	case op == 0x11, op >= 0x28 && op <= 0x3e: // call_indirect, loads and stores
		return indices(r, 2)
	case op == 0x3f, op == 0x40: // memory.size, memory.grow
		return r.skip(1)
	case op == 0x41:
		return r.skipNumber(5)
	case op == 0x42:
		return r.skipNumber(10)
	case op == 0x43:
		return r.skip(4)
	case op == 0x44:
		return r.skip(8)
	case op == 0xd0: // ref.null, in element segments
		return r.skip(1)
	case op == 0xfc:
		return prefixed(r)
	case op <= 0x01, op == 0x05, op == 0x0f, op == 0x1a, op == 0x1b, op >= 0x45 && op <= 0xc4:
		return nil
	}
	return disabled(op)
}

// prefixed passes over saturating conversions and bulk memory. Their number is
// read as the one byte that every toolchain writes: of a longer form of it one
// engine makes an instruction and the other one none.
func prefixed(r *reader) error {
	op, err := r.byte()
	if err != nil {
		return err
	}
	switch {
	case op <= 7:
		return nil
	case op == 9, op == 11, op == 13: // data.drop, memory.fill, elem.drop
		return indices(r, 1)
	case op == 8, op == 10, op == 12, op == 14: // memory.init, memory.copy, table.init, table.copy
		return indices(r, 2)
	case op >= 15 && op <= 17:
		return errors.New("a table is changed; build without reference types")
	}
	return fmt.Errorf("0xfc %#x is not an instruction of WebAssembly 2.0", op)
}

func disabled(op byte) error {
	what := "an instruction that hooks may not use; build for WebAssembly 2.0"
	switch op {
	case 0x1c, 0x25, 0x26, 0xd1:
		what = "of the reference types; build without them"
	case 0xfd:
		what = "SIMD; build without it (C: -mno-simd128, Rust: -C target-feature=-simd128)"
	case 0xfe:
		what = "of threads; build without them"
	case 0x12, 0x13:
		what = "a tail call; build without them"
	case 0x06, 0x07, 0x08, 0x09, 0x0a, 0x18, 0x19, 0x1f:
		what = "of exception handling; build without it"
	}
	return fmt.Errorf("%#x is %s", op, what)
}

func indices(r *reader, n int) error {
	for range n {
		if _, err := r.u32(); err != nil {
			return err
		}
	}
	return nil
}
