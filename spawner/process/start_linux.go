package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/fault"
)

// Start executes spec.File as a detached process. The caller owns the returned
// Process and must Reap it or let [Process.AutoReap] do so. With spec.Stop it must
// also be released or closed, by the goroutine that has called Start, which until
// then is locked to its thread.
func Start(spec Spec) (*Process, error) {
	stdio, done, err := openStdio(spec.Stderr)
	if err != nil {
		return nil, err
	}
	defer done()
	for _, f := range append([]*os.File{spec.File}, spec.Keep...) {
		if f.Fd() <= 2 {
			return nil, failed("pass on "+f.Name(), fmt.Errorf("it is open as descriptor %d, which is another file in the child", f.Fd()))
		}
	}
	link, err := spec.link()
	if err != nil {
		return nil, err
	}
	if link != "" {
		defer os.Remove(link)
	}
	var p *Process
	if spec.Stop != nil {
		p, err = startStopped(&spec, link, stdio)
	} else {
		p, err = startRunning(&spec, link, stdio)
	}
	runtime.KeepAlive(spec.Keep)
	runtime.KeepAlive(spec.File)
	runtime.KeepAlive(spec.Stderr)
	return p, err
}

// openStdio gives what descriptors 0 to 2 will be, under numbers above those.
func openStdio(stderr *os.File) (stdio [3]int, done func(), err error) {
	var opened []int
	done = func() {
		for _, fd := range opened {
			_ = unix.Close(fd) // nothing was written to it here
		}
	}
	null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return stdio, nil, failed("open the null device", err)
	}
	opened = append(opened, null)
	stdio = [3]int{null, null, null}
	if stderr != nil {
		stdio[2] = int(stderr.Fd())
	}
	for i, fd := range stdio {
		if fd > 2 {
			continue
		}
		if stdio[i], err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3); err != nil {
			done()
			return stdio, nil, failed(fmt.Sprintf("duplicate descriptor %d", fd), err)
		}
		opened = append(opened, stdio[i])
	}
	return stdio, done, nil
}

// link makes the link by which the file is executed under its name; "" when the
// kernel knows it.
func (s *Spec) link() (string, error) {
	if s.Stop.Names(s.File, s.Name) {
		return "", nil
	}
	link := filepath.Join(s.LinkDir, s.Name)
	if filepath.Base(link) != s.Name {
		return "", failed("name the process", fmt.Errorf("%q is not a file name", s.Name))
	}
	if err := os.Symlink(selfFD(int(s.File.Fd())), link); err != nil {
		return "", failed("name the process", err)
	}
	return link, nil
}

// startRunning makes a child that nobody holds: it runs from its exec on.
func startRunning(spec *Spec, link string, stdio [3]int) (*Process, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, failed("socketpair", err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	b := &birth{spec: spec, link: link, stdio: []uintptr{uintptr(stdio[0]), uintptr(stdio[1]), uintptr(stdio[2])}, send: pair[1], born: make(chan int, 1), held: make(chan bool, 1), done: make(chan error, 1)}
	onThrowawayThread(func() { b.done <- b.run() })
	return b.receive(pair[0])
}

// receive holds the child that was born on the other thread.
func (b *birth) receive(sock int) (*Process, error) {
	var pid int
	select {
	case err := <-b.done:
		return nil, err
	case pid = <-b.born:
	}
	fd, err := receivePidfd(sock)
	if err != nil {
		err = failed("hold the child", err)
	}
	var p *Process
	if err == nil {
		p, err = hold(pid, fd, true)
	}
	b.held <- err == nil // if not, the thread ends the child
	return p, errors.Join(err, <-b.done)
}

// birth is one fork and exec, made on a thread that is thrown away.
type birth struct {
	spec  *Spec
	link  string
	stdio []uintptr
	send  int // where the pidfd is sent
	born  chan int
	held  chan bool  // whether somebody holds the child
	done  chan error // the thread's last word
}

func (b *birth) run() error {
	pid, err := b.fork()
	if err != nil {
		return err
	}
	b.born <- pid
	if !<-b.held {
		return abort(pid)
	}
	return nil
}

// fork gives the thread a descriptor table and file-system context of its own,
// so that what is changed for the child is changed for nobody else.
func (b *birth) fork() (int, error) {
	if err := unix.Unshare(unix.CLONE_FILES | unix.CLONE_FS); err != nil {
		return 0, failed("unshare the descriptor table", err)
	}
	if err := closeOnExec(); err != nil {
		return 0, failed("mark descriptors close-on-exec", err)
	}
	for _, f := range b.spec.Keep {
		if _, err := unix.FcntlInt(f.Fd(), unix.F_SETFD, 0); err != nil {
			return 0, failed("keep "+f.Name(), err)
		}
	}
	unix.Umask(unix.Umask(0) | 0o022)
	if err := b.spec.confine(); err != nil {
		return 0, err
	}
	pidfd := -1
	attr := &syscall.SysProcAttr{Setsid: !fault.Mutant("no-session"), PidFD: &pidfd}
	proc := &syscall.ProcAttr{Dir: b.spec.Dir, Env: b.spec.Env, Files: b.stdio, Sys: attr}
	pid, err := b.execute(proc)
	if err != nil {
		return 0, err
	}
	if err := b.handOver(pidfd); err != nil {
		return 0, errors.Join(err, abort(pid))
	}
	return pid, nil
}

func (b *birth) execute(attr *syscall.ProcAttr) (int, error) {
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &unix.Sigset_t{}, nil); err != nil {
		return 0, failed("set the signal mask", err)
	}
	pid, err := syscall.ForkExec(b.link, b.spec.Argv, attr)
	if err != nil {
		return 0, failed("execute "+b.spec.File.Name(), err)
	}
	fault.At(fault.SpawnForked)
	fault.At(fault.SpawnHeld)
	return pid, nil
}

func (b *birth) handOver(pidfd int) error {
	if err := unix.Sendmsg(b.send, []byte{1}, unix.UnixRights(pidfd), nil, 0); err != nil {
		return failed("hand over the child", err)
	}
	return nil
}

// onThrowawayThread runs f on an operating-system thread that ends with it, and
// does not wait. The main thread is never used: it cannot end before the process
// does, and its credentials and context are what others see of the process.
func onThrowawayThread(f func()) {
	var start func()
	start = func() {
		runtime.LockOSThread()
		if unix.Gettid() == os.Getpid() {
			inner := make(chan struct{})
			go func() { defer close(inner); start() }()
			<-inner
			runtime.UnlockOSThread()
			return
		}
		f()
	}
	go start()
}

// closeOnExec marks every descriptor above 2 of this thread's own table.
// CLOSE_RANGE_CLOEXEC came with Linux 5.11; before, the table is read.
func closeOnExec() error {
	if fault.Mutant("leave-descriptors") {
		return nil
	}
	err := unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC)
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) {
		return err
	}
	return markEach()
}

func markEach() error {
	dir, err := unix.Open("/proc/thread-self/fd", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	buf := make([]byte, 1<<16)
	for {
		n, err := unix.ReadDirent(dir, buf)
		if err != nil || n == 0 {
			return err
		}
		_, _, names := unix.ParseDirent(buf[:n], -1, nil)
		for _, name := range names {
			fd, err := strconv.Atoi(name)
			if err != nil || fd <= 2 {
				continue
			}
			if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC); err != nil {
				return err
			}
		}
	}
}

func receivePidfd(sock int) (int, error) {
	buf, oob := make([]byte, 1), make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(sock, buf, oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return -1, err
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil {
		return -1, err
	}
	if len(msgs) != 1 {
		return -1, fmt.Errorf("%d control messages instead of one", len(msgs))
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil {
		return -1, err
	}
	if len(fds) != 1 {
		return -1, fmt.Errorf("%d descriptors instead of one", len(fds))
	}
	return fds[0], nil
}
