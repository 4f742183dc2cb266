package measure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/sealed"
)

// hold finds what keeps the content from now on until it runs. It must be called
// before the first byte is read: with a sealed copy, the copy is what is read.
func (t *Target) hold(ctx context.Context, limits Limits) error {
	t.noSeal = sealable(&t.Binary, limits)
	if t.noSeal == nil && limits.Seal {
		t.why = errors.New("it was copied, not held")
		return t.seal(ctx)
	}
	t.secure(int(t.File.Fd()), limits.Trusted)
	if t.noSeal == nil && t.held == byNothing {
		return t.seal(ctx)
	}
	if t.noSeal == nil {
		t.noSeal = errors.New("nothing asked for a sealed copy when it was measured")
	}
	return nil
}

// sealable says why a file is not copied. A copy must not be executed where the
// file itself could not be, and would lose the privileges that a file can give.
func sealable(f *admission.File, limits Limits) error {
	switch {
	case f.Mount.Noexec:
		return ErrNoexec
	case !f.Executable:
		return errors.New("it is not executable")
	case f.Setuid || f.Setgid || f.Capabilities:
		return errors.New("a copy would lose its set-id bits or capabilities")
	case f.Size > limits.SealedBytes:
		return fmt.Errorf("it has %d bytes and at most %d are copied (binary.max_sealed_bytes; none for a program that must name its own file)", f.Size, limits.SealedBytes)
	}
	return nil
}

// seal copies the file. Nothing that was true of the file before needs to be
// true of the copy, which is hashed only once nobody can change it.
func (t *Target) seal(ctx context.Context) error {
	copied, err := sealed.Make(filepath.Base(t.Binary.Path), func(to *os.File) error {
		return copyAt(ctx, to, leased{t}, t.Binary.Size)
	})
	if err != nil && (ctx.Err() != nil || ownFailure(err) || errors.Is(err, io.ErrUnexpectedEOF)) {
		return err
	}
	if err != nil {
		t.noSeal = fmt.Errorf("copy it into memory: %w", err)
		return nil
	}
	t.sealed = copied
	return nil
}

// image is what is hashed.
func (t *Target) image() *os.File {
	if t.sealed != nil {
		return t.sealed
	}
	return t.File
}

// Image is the file to execute for a binding that the target offers: the sealed
// copy or the measured file. It stays the target's.
func (t *Target) Image(b admission.Binding) *os.File {
	if b == admission.Sealed {
		return t.sealed
	}
	return t.File
}
