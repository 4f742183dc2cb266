package policy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// An indexed bundle is a file of its own form: indexMagic, eight bytes for the
// length of a bundle, that bundle, which may be signed, and the pages of its
// index. Only the bundle is read when a policy is loaded; what it says of the
// pages proves each of them when it is needed.
const (
	indexMagic      = "spawnward-index\n"
	indexHeadBytes  = int64(len(indexMagic) + 8)
	maxIndexedBytes = maxBundleBytes + maxDataBytes
)

// readIndexed gives the bundle in a file, and its pages when it is indexed.
func readIndexed(r io.ReaderAt, size int64, name string) ([]byte, *pages, error) {
	head := make([]byte, min(size, indexHeadBytes))
	if err := readFull(r, head, 0); err != nil {
		return nil, nil, err
	}
	p := &pages{r: r, name: name}
	length := size
	if int64(len(head)) == indexHeadBytes && string(head[:len(indexMagic)]) == indexMagic {
		claimed := binary.BigEndian.Uint64(head[len(indexMagic):])
		if claimed > uint64(size-indexHeadBytes) {
			return nil, nil, errors.New("is cut off; put the whole file there")
		}
		length = int64(claimed)
		p.base = indexHeadBytes + length
		p.size = size - p.base
	}
	if length > maxBundleBytes {
		return nil, nil, fmt.Errorf("the bundle is larger than %d bytes", maxBundleBytes)
	}
	text := make([]byte, length)
	if p.base == 0 {
		return text, nil, readFull(r, text, 0)
	}
	return text, p, readFull(r, text, indexHeadBytes)
}

// readFull reads what must be there.
func readFull(r io.ReaderAt, into []byte, at int64) error {
	if n, err := r.ReadAt(into, at); n < len(into) {
		return fmt.Errorf("it became shorter while it was read: %w", err)
	}
	return nil
}

// writeIndexed gives the file of an indexed bundle.
func writeIndexed(bundle, pages []byte) ([]byte, error) {
	out := slices.Concat([]byte(indexMagic), binary.BigEndian.AppendUint64(nil, uint64(len(bundle))), bundle, pages)
	if len(out) > maxIndexedBytes {
		return nil, fmt.Errorf("the indexed bundle is larger than %d bytes", maxIndexedBytes)
	}
	return out, nil
}
