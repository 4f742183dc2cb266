// Package blake3 computes BLAKE3-256, which the wire contract names users and
// sockets by and in which newer peers state the digest of their file.
//
// It is written out here, in plain Go and for nothing but unkeyed digests of 32
// bytes, because the modules that have it in assembler ask the processor what it
// can do, before main and in every program that links them: 0.4 ms in a virtual
// machine, which each such question leaves. Every start of the command and of a
// backend paid that for sixteen digits of a name. The price is that a file is
// hashed at some 0.5 GB/s, which is done once for the file of a peer that states
// this digest.
//
// The algorithm is that of the BLAKE3 paper (O'Connor, Aumasson, Neves,
// Wilcox-O'Hearn); the names are its names. Works on every system.
package blake3

import (
	"encoding/binary"
	"math/bits"
)

// Size is the length of a digest in bytes.
const Size = 32

const (
	blockSize = 64
	chunkSize = 1024
)

// Domain flags of the compression.
const (
	chunkStart = 1 << iota
	chunkEnd
	parent
	root
)

// iv is the initialisation vector, which is also the key of an unkeyed hash.
func iv() [8]uint32 {
	return [8]uint32{
		0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
	}
}

// Sum256 is the digest of data.
func Sum256(data []byte) [Size]byte {
	h := New()
	_, _ = h.Write(data) // never fails
	return h.Sum256()
}

// Hasher takes what is hashed by Write. Make one with [New].
type Hasher struct {
	// The chunk under way: its chaining value, its number, how many of its bytes
	// are compressed, and the block that waits for more to come, because the last
	// one of a chunk is compressed differently.
	cv      [8]uint32
	counter uint64
	done    int
	block   [blockSize]byte
	waiting int
	// stack holds the roots of complete subtrees, from large to small: one for each
	// bit that is set in counter.
	stack  [54][8]uint32
	height int
}

// New makes a hasher.
func New() *Hasher { return &Hasher{cv: iv()} }

// Write takes more; it never fails.
func (h *Hasher) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if h.waiting == blockSize {
			h.flush()
		}
		if h.waiting == 0 {
			p = h.blocks(p)
		}
		k := copy(h.block[h.waiting:], p)
		h.waiting += k
		p = p[k:]
	}
	return n, nil
}

// blocks compresses what cannot be the end of a chunk straight from p, and
// returns the rest.
func (h *Hasher) blocks(p []byte) []byte {
	for len(p) > blockSize && h.done < chunkSize-blockSize {
		h.compress((*[blockSize]byte)(p), 0)
		p = p[blockSize:]
	}
	return p
}

// flush compresses the full block, after which more comes.
func (h *Hasher) flush() {
	if h.done < chunkSize-blockSize {
		h.compress(&h.block, 0)
	} else {
		h.compress(&h.block, chunkEnd)
		h.counter++
		h.push(h.cv)
		h.cv, h.done = iv(), 0
	}
	h.waiting = 0
}

func (h *Hasher) compress(block *[blockSize]byte, flags uint32) {
	if h.done == 0 {
		flags |= chunkStart
	}
	n := node{h.cv, words(block), h.counter, blockSize, flags}
	h.cv = n.compress()
	h.done += blockSize
}

// push adds the chunk whose number made counter, and joins what is complete now:
// as many subtrees as counter ends in zero bits.
func (h *Hasher) push(cv [8]uint32) {
	for range bits.TrailingZeros64(h.counter) {
		h.height--
		n := join(&h.stack[h.height], &cv)
		cv = n.compress()
	}
	h.stack[h.height] = cv
	h.height++
}

// Sum256 is the digest of what was written so far; more may follow.
func (h *Hasher) Sum256() (sum [Size]byte) {
	clear(h.block[h.waiting:])
	n := node{h.cv, words(&h.block), h.counter, uint32(h.waiting), chunkEnd}
	if h.done == 0 {
		n.flags |= chunkStart
	}
	for i := h.height - 1; i >= 0; i-- {
		cv := n.compress()
		n = join(&h.stack[i], &cv)
	}
	n.counter, n.flags = 0, n.flags|root
	for i, w := range n.compress() {
		binary.LittleEndian.PutUint32(sum[4*i:], w)
	}
	return sum
}

// node is what one compression takes.
type node struct {
	cv       [8]uint32
	m        [16]uint32
	counter  uint64
	blockLen uint32
	flags    uint32
}

// join is the parent of two subtrees.
func join(left, right *[8]uint32) node {
	n := node{cv: iv(), blockLen: blockSize, flags: parent}
	copy(n.m[:8], left[:])
	copy(n.m[8:], right[:])
	return n
}

func words(block *[blockSize]byte) (m [16]uint32) {
	for i := range m {
		m[i] = binary.LittleEndian.Uint32(block[4*i:])
	}
	return m
}

// compress is the compression function, cut to a chaining value.
func (n *node) compress() [8]uint32 {
	h, key := &n.cv, iv()
	return rounds(&[16]uint32{
		h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7], key[0], key[1], key[2], key[3],
		uint32(n.counter), uint32(n.counter >> 32), n.blockLen, n.flags,
	}, &n.m)
}

// rounds are seven, on columns and diagonals, each with the words of the round
// before it permuted. Written out they are half as fast again as with a loop that
// permutes.
func rounds(v, m *[16]uint32) [8]uint32 {
	v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13, v14, v15 := v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10], v[11], v[12], v[13], v[14], v[15]
	v0, v4, v8, v12 = mix(v0, v4, v8, v12, m[0], m[1])
	v1, v5, v9, v13 = mix(v1, v5, v9, v13, m[2], m[3])
	v2, v6, v10, v14 = mix(v2, v6, v10, v14, m[4], m[5])
	v3, v7, v11, v15 = mix(v3, v7, v11, v15, m[6], m[7])
	v0, v5, v10, v15 = mix(v0, v5, v10, v15, m[8], m[9])
	v1, v6, v11, v12 = mix(v1, v6, v11, v12, m[10], m[11])
	v2, v7, v8, v13 = mix(v2, v7, v8, v13, m[12], m[13])
	v3, v4, v9, v14 = mix(v3, v4, v9, v14, m[14], m[15])
	v0, v4, v8, v12 = mix(v0, v4, v8, v12, m[2], m[6])
	v1, v5, v9, v13 = mix(v1, v5, v9, v13, m[3], m[10])
	v2, v6, v10, v14 = mix(v2, v6, v10, v14, m[7], m[0])
	v3, v7, v11, v15 = mix(v3, v7, v11, v15, m[4], m[13])
	v0, v5, v10, v15 = mix(v0, v5, v10, v15, m[1], m[11])
	v1, v6, v11, v12 = mix(v1, v6, v11, v12, m[12], m[5])
	v2, v7, v8, v13 = mix(v2, v7, v8, v13, m[9], m[14])
	v3, v4, v9, v14 = mix(v3, v4, v9, v14, m[15], m[8])
	v0, v4, v8, v12 = mix(v0, v4, v8, v12, m[3], m[4])
	v1, v5, v9, v13 = mix(v1, v5, v9, v13, m[10], m[12])
	v2, v6, v10, v14 = mix(v2, v6, v10, v14, m[13], m[2])
	v3, v7, v11, v15 = mix(v3, v7, v11, v15, m[7], m[14])
	v0, v5, v10, v15 = mix(v0, v5, v10, v15, m[6], m[5])
	v1, v6, v11, v12 = mix(v1, v6, v11, v12, m[9], m[0])
	v2, v7, v8, v13 = mix(v2, v7, v8, v13, m[11], m[15])
	v3, v4, v9, v14 = mix(v3, v4, v9, v14, m[8], m[1])
	v0, v4, v8, v12 = mix(v0, v4, v8, v12, m[10], m[7])
	v1, v5, v9, v13 = mix(v1, v5, v9, v13, m[12], m[9])
	v2, v6, v10, v14 = mix(v2, v6, v10, v14, m[14], m[3])
	v3, v7, v11, v15 = mix(v3, v7, v11, v15, m[13], m[15])
	v0, v5, v10, v15 = mix(v0, v5, v10, v15, m[4], m[0])
	v1, v6, v11, v12 = mix(v1, v6, v11, v12, m[11], m[2])
	v2, v7, v8, v13 = mix(v2, v7, v8, v13, m[5], m[8])
	v3, v4, v9, v14 = mix(v3, v4, v9, v14, m[1], m[6])
	v0, v4, v8, v12 = mix(v0, v4, v8, v12, m[12], m[13])
	v1, v5, v9, v13 = mix(v1, v5, v9, v13, m[9], m[11])
	v2, v6, v10, v14 = mix(v2, v6, v10, v14, m[15], m[10])
	v3, v7, v11, v15 = mix(v3, v7, v11, v15, m[14], m[8])
	v0, v5, v10, v15 = mix(v0, v5, v10, v15, m[7], m[2])
	v1, v6, v11, v12 = mix(v1, v6, v11, v12, m[5], m[3])
	v2, v7, v8, v13 = mix(v2, v7, v8, v13, m[0], m[1])
	v3, v4, v9, v14 = mix(v3, v4, v9, v14, m[6], m[4])
	v0, v4, v8, v12 = mix(v0, v4, v8, v12, m[9], m[14])
	v1, v5, v9, v13 = mix(v1, v5, v9, v13, m[11], m[5])
	v2, v6, v10, v14 = mix(v2, v6, v10, v14, m[8], m[12])
	v3, v7, v11, v15 = mix(v3, v7, v11, v15, m[15], m[1])
	v0, v5, v10, v15 = mix(v0, v5, v10, v15, m[13], m[3])
	v1, v6, v11, v12 = mix(v1, v6, v11, v12, m[0], m[10])
	v2, v7, v8, v13 = mix(v2, v7, v8, v13, m[2], m[6])
	v3, v4, v9, v14 = mix(v3, v4, v9, v14, m[4], m[7])
	v0, v4, v8, v12 = mix(v0, v4, v8, v12, m[11], m[15])
	v1, v5, v9, v13 = mix(v1, v5, v9, v13, m[5], m[0])
	v2, v6, v10, v14 = mix(v2, v6, v10, v14, m[1], m[9])
	v3, v7, v11, v15 = mix(v3, v7, v11, v15, m[8], m[6])
	v0, v5, v10, v15 = mix(v0, v5, v10, v15, m[14], m[10])
	v1, v6, v11, v12 = mix(v1, v6, v11, v12, m[2], m[12])
	v2, v7, v8, v13 = mix(v2, v7, v8, v13, m[3], m[4])
	v3, v4, v9, v14 = mix(v3, v4, v9, v14, m[7], m[13])
	return [8]uint32{v0 ^ v8, v1 ^ v9, v2 ^ v10, v3 ^ v11, v4 ^ v12, v5 ^ v13, v6 ^ v14, v7 ^ v15}
}

// mix is the quarter round.
func mix(a, b, c, d, x, y uint32) (uint32, uint32, uint32, uint32) {
	a += b + x
	d = bits.RotateLeft32(d^a, -16)
	c += d
	b = bits.RotateLeft32(b^c, -12)
	a += b + y
	d = bits.RotateLeft32(d^a, -8)
	c += d
	b = bits.RotateLeft32(b^c, -7)
	return a, b, c, d
}
