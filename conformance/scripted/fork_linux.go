package scripted

import (
	"context"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// performForking plays the parts that have more than one process.
func (p *player) performForking(ctx context.Context) error {
	switch p.part {
	case "fork-exit":
		_, err := p.copy(copyServe, copyOptions{})
		return err
	case "listen-daemonise":
		return p.daemonise(ctx, copyServe)
	case "peer-daemonise":
		return p.daemonise(ctx, copyDiscard)
	case "double-fork":
		child, err := p.copy(copyFork, copyOptions{session: true})
		if err != nil {
			return err
		}
		return child.Wait()
	case copyNotify:
		return notify("READY=1")
	case copyFork:
		_, err := p.copy(copyServe, copyOptions{})
		return err
	case "squat":
		if _, err := p.copy(copyServe, copyOptions{claimPID: os.Getpid()}); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	case "leave-child", "leave-child-session":
		if _, err := p.copy(copyLinger, copyOptions{session: p.part == "leave-child-session"}); err != nil {
			return err
		}
		return p.serveGood(ctx)
	case "peer-worker":
		return p.worker(ctx)
	}
	return nil
}

// daemonise listens and ends while a copy goes on with the socket.
func (p *player) daemonise(ctx context.Context, part string) error {
	wait := time.Duration(0)
	if p.arg != "" {
		var err error
		if wait, err = time.ParseDuration(p.arg); err != nil {
			return err
		}
	}
	listener, err := p.listen()
	if err != nil {
		return err
	}
	listener.SetUnlinkOnClose(false)
	if _, err := p.copy(part, copyOptions{listener: listener, session: true}); err != nil {
		return err
	}
	return pause(ctx, wait)
}

// worker listens, and a copy takes the connections.
func (p *player) worker(ctx context.Context) error {
	listener, err := p.listen()
	if err != nil {
		return err
	}
	defer listener.Close()
	child, err := p.copy(copyDiscard, copyOptions{listener: listener})
	if err != nil {
		return err
	}
	<-ctx.Done()
	child.Process.Kill()
	child.Wait()
	return nil
}

type copyOptions struct {
	listener *net.UnixListener // handed over as descriptor 3
	session  bool              // in a session of its own
	claimPID int               // state this pid instead of one's own
}

// copy starts another process of the same executable, in another part.
func (p *player) copy(part string, o copyOptions) (*exec.Cmd, error) {
	args := append([]string{}, p.prefix[1:]...)
	args = append(args, part, "--copy")
	if p.pids != "" {
		args = append(args, "--pids="+p.pids)
	}
	if p.endpoint != "" {
		args = append(args, "--endpoint="+p.endpoint)
	}
	if o.claimPID != 0 {
		args = append(args, "--claim-pid="+strconv.Itoa(o.claimPID))
	}
	cmd := exec.Command("/proc/self/exe")
	if o.listener != nil {
		file, err := o.listener.File()
		if err != nil {
			return nil, err
		}
		defer file.Close()
		cmd.ExtraFiles = []*os.File{file}
		args = append(args, "--listener")
	}
	cmd.Args = append([]string{p.prefix[0]}, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: o.session}
	return cmd, cmd.Start()
}
