//go:build !linux

package conformance

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"syscall"
)

func makeFifo(string) error                { return errors.ErrUnsupported }
func setCapabilities(string) error         { return errors.ErrUnsupported }
func chmod(path string, bits uint32) error { return os.Chmod(path, os.FileMode(bits&0o777)) }

func (t *tree) alive() []int                       { return nil }
func (t *tree) signal(int, syscall.Signal) error   { return errors.ErrUnsupported }
func (t *tree) gone(int, int) bool                 { return false }
func (t *tree) stopped(context.Context, int) error { return errors.ErrUnsupported }
func (t *tree) end() error                         { return nil }

func launchAttributes(int) *syscall.SysProcAttr  { return nil }
func signalNamed(string) (syscall.Signal, error) { return 0, errors.ErrUnsupported }
func openExtra(*exec.Cmd, string) error          { return errors.ErrUnsupported }
func fileMode(string) (uint32, error)            { return 0, errors.ErrUnsupported }
