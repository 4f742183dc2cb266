package conformance

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/fault/gate"
)

type pauseGate struct {
	g   *gate.Gate
	dir string
}

func newGate(dir string) (*pauseGate, error) {
	g, err := gate.New(dir)
	return &pauseGate{g, dir}, err
}

func (p *pauseGate) wait(ctx context.Context) error {
	_, err := p.g.Wait(ctx)
	return err
}

// open lets the launcher go on. One that has died meanwhile would be waited for
// for ever: then this end takes its part.
func (p *pauseGate) open(ctx context.Context) error {
	instead := make(chan *os.File, 1)
	stop := context.AfterFunc(ctx, func() {
		f, _ := os.OpenFile(filepath.Join(p.dir, "go"), os.O_RDONLY|unix.O_NONBLOCK, 0)
		instead <- f
	})
	err := p.g.Open()
	if !stop() {
		f := <-instead
		_ = f.Close() // it read nothing
	}
	return err
}

func (p *pauseGate) close() { _ = p.g.Close() } // the directory goes with the tree

// cancelling sends the launcher a signal once a backend of the case runs.
func (p *play) cancelling(ctx context.Context, name string) (watch, error) {
	sig, err := signalNamed(name)
	if err != nil {
		return watch{}, err
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return watch{}, err
	}
	events := os.NewFile(uintptr(fd), "inotify")
	if _, err := unix.InotifyAddWatch(fd, filepath.Dir(p.pids()), unix.IN_MODIFY|unix.IN_CREATE); err != nil {
		return watch{}, err
	}
	stop := context.AfterFunc(ctx, func() { _ = events.SetReadDeadline(time.Unix(1, 0)) })
	before, _ := p.spawned()
	var launcher atomic.Int64
	done := make(chan error, 1)
	go func() {
		buf := make([]byte, 4096)
		for {
			if _, err := events.Read(buf); err != nil {
				done <- nil // the case says what should have been seen
				return
			}
			if now, _ := p.spawned(); len(now) > len(before) && launcher.Load() != 0 {
				done <- unix.Kill(int(launcher.Load()), sig) // our own child, not yet waited for
				return
			}
		}
	}()
	return watch{begin: func(pid int) { launcher.Store(int64(pid)) }, end: func() error {
		defer events.Close()
		defer stop()
		return <-done
	}}, nil
}
