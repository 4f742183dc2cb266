package spawner

import (
	"errors"

	"github.com/spawnward/spawnward/spawner/endpoint"
	"github.com/spawnward/spawnward/spawner/private"
)

// Place is a directory of the launcher's own, as [Local.Places] found it.
type Place struct {
	// What is kept there: "records" or "endpoints".
	What string
	Path string
	// Err says why a launch could not use it; nil is fine.
	Err error
}

// Places opens the launcher's own directories as a launch would, makes those
// that are missing, writes a small file into each and removes it, and allocates
// an endpoint. The errors are those that a launch would have.
func (l *Local) Places() []Place {
	runtime := l.tryPlace("endpoints", l.runtime)
	a := endpoint.NewAllocator(l.runtime.path(), l.o.UserHash, "shared")
	if at, err := a.Allocate(); err != nil {
		runtime.Err = errors.Join(runtime.Err, err)
	} else {
		a.Release(at)
	}
	return []Place{l.tryPlace("records", l.state), runtime}
}

func (l *Local) tryPlace(what string, p place) Place {
	out := Place{What: what, Path: p.path()}
	dir, err := private.Open(l.ids(), p.parent, p.names...)
	if err != nil {
		out.Err = err
		return out
	}
	defer dir.Close()
	const trial = "trial"
	out.Err = errors.Join(dir.Write(trial, []byte("written to see whether it can be\n")), dir.Remove(trial))
	return out
}
