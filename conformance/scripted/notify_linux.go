package scripted

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// errNoSocket is the end of a part that was not given a readiness socket.
var errNoSocket = errors.New("NOTIFY_SOCKET names no socket")

// performNotify plays the parts that say themselves when they are ready.
func (p *player) performNotify(ctx context.Context) error {
	say := func(texts ...string) error {
		for _, text := range texts {
			if err := notify(text); err != nil {
				return err
			}
		}
		return nil
	}
	var err error
	switch p.part {
	case "notify":
		err = say("STATUS=starting", "READY=1\nSTATUS=serving\nMAINPID="+strconv.Itoa(os.Getpid())+"\nX_UNKNOWN=1\n")
	case "notify-late":
		wait, perr := time.ParseDuration(p.arg)
		if perr != nil {
			return perr
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
		err = say("READY=1")
	case "notify-errno":
		if err := say("STATUS=cannot bind\nERRNO=" + p.arg); err != nil {
			return err
		}
		return errDie
	case "notify-flood":
		for i := range 2000 {
			if err := say("STATUS=step " + strconv.Itoa(i)); err != nil {
				return err
			}
		}
		err = say("READY=1")
	case "notify-oversize":
		err = say("READY=1\nSTATUS=" + strings.Repeat("x", 8192))
	case "notify-mainpid":
		err = say("READY=1\nMAINPID=1")
	case "notify-other":
		_, err = p.copy(copyNotify, copyOptions{})
	case "notify-barrier":
		err = barrier()
	case "notify-listen":
		return p.notifyListening(ctx)
	}
	if err == nil {
		<-ctx.Done()
	}
	return err
}

func isNotifyPart(name string) bool { return name == "notify" || strings.HasPrefix(name, "notify-") }

// notifyListening is a server that knows systemd and no broker.
func (p *player) notifyListening(ctx context.Context) error {
	listener, err := p.listen()
	if err != nil {
		return err
	}
	defer listener.Close()
	if err := notify("READY=1"); err != nil {
		return err
	}
	return accept(ctx, listener, discard)
}

// notify sends one message, with descriptors beside it.
func notify(text string, fds ...int) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return errNoSocket
	}
	sock, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(sock)
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	return unix.Sendmsg(sock, []byte(text), rights, &unix.SockaddrUnix{Name: path}, 0)
}

// barrier says that it is ready only when everything before has been read: a
// supervisor then closes the pipe that came along.
func barrier() error {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	defer unix.Close(pipe[0])
	err := notify("BARRIER=1", pipe[1])
	if err := errors.Join(err, unix.Close(pipe[1])); err != nil {
		return err
	}
	if n, err := unix.Read(pipe[0], make([]byte, 1)); n != 0 || err != nil {
		return fmt.Errorf("the barrier was not passed: %d bytes, %w", n, err)
	}
	return notify("READY=1")
}
