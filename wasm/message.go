package wasm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// The two messages between launcher and worker: a first line that tells them
// from anything else, a byte, a number, and parts that each follow their length.
const (
	jobMagic    = "spawnward hook job 1\n"
	answerMagic = "spawnward hook answer 1\n"
)

// job is what the worker does: parts are the hook's name, the code, the input,
// and the machine code that an earlier worker has made.
type job struct {
	engine  byte   // one of the three below
	seconds uint32 // of processor time
	parts   [4][]byte
}

// What a worker does with a module.
const (
	interpret   byte = iota
	compileRun       // with machine code that it makes unless it was given some
	compileOnly      // and answers with the machine code
)

// ending is how a guest's run ended.
type ending byte

const (
	exited  ending = iota // with answer.status
	trapped               // an instruction or the engine failed; cause says why
	refused               // the engine did not accept the code
	flooded               // it wrote more than a reply may have
	slept                 // it slept longer than its deadline
	unready               // the worker could not restrict itself
	endings               // how many there are
)

// answer is how a run ended: parts are the cause, standard output and error, and
// machine code where only that was asked for.
type answer struct {
	end    ending
	status uint32
	parts  [4][]byte
	// used is the processor time of a worker that gave no answer; no part of the
	// message.
	used time.Duration
}

const (
	maxCause   = 4 << 10
	maxStderr  = 8 << 10
	maxAnswer  = len(answerMagic) + 5 + 4*4 + maxCause + MaxReply + maxStderr
	maxJobName = 1 << 10
)

// message gives the text of a message without a copy of its parts, which may be
// large.
func message(magic string, first byte, number uint32, parts [4][]byte) io.Reader {
	head := binary.BigEndian.AppendUint32(append([]byte(magic), first), number)
	pieces := []io.Reader{bytes.NewReader(head)}
	for _, p := range parts {
		pieces = append(pieces, bytes.NewReader(binary.BigEndian.AppendUint32(nil, uint32(len(p)))), bytes.NewReader(p))
	}
	return io.MultiReader(pieces...)
}

func decodeMessage(r io.Reader, magic string, limits [4]int) (first byte, number uint32, parts [4][]byte, err error) {
	head := make([]byte, len(magic)+5)
	if _, err = io.ReadFull(r, head); err != nil {
		return 0, 0, parts, err
	}
	if string(head[:len(magic)]) != magic {
		return 0, 0, parts, errors.New("it does not begin as it must")
	}
	first, number = head[len(magic)], binary.BigEndian.Uint32(head[len(magic)+1:])
	for i, limit := range limits {
		var size [4]byte
		if _, err = io.ReadFull(r, size[:]); err != nil {
			return 0, 0, parts, err
		}
		n := binary.BigEndian.Uint32(size[:])
		if uint64(n) > uint64(limit) {
			return 0, 0, parts, fmt.Errorf("part %d has %d bytes, at most %d are allowed", i, n, limit)
		}
		parts[i] = make([]byte, n)
		if _, err = io.ReadFull(r, parts[i]); err != nil {
			return 0, 0, parts, err
		}
	}
	return first, number, parts, nil
}

func (j job) encode() io.Reader { return message(jobMagic, j.engine, j.seconds, j.parts) }

func decodeJob(r io.Reader) (j job, err error) {
	j.engine, j.seconds, j.parts, err = decodeMessage(r, jobMagic, [4]int{maxJobName, MaxModule, MaxInput, maxEntry})
	return j, err
}

func (a answer) encode() io.Reader {
	return message(answerMagic, byte(a.end), a.status, a.parts)
}

// decodeAnswer takes at most code bytes of machine code.
func decodeAnswer(r io.Reader, code int) (answer, error) {
	first, status, parts, err := decodeMessage(r, answerMagic, [4]int{maxCause, MaxReply, maxStderr, code})
	if err == nil && first >= byte(endings) {
		err = fmt.Errorf("ending %d does not exist", first)
	}
	return answer{end: ending(first), status: status, parts: parts}, err
}

// cut is the beginning of b, at most n bytes.
func cut(b []byte, n int) []byte { return b[:min(len(b), n)] }
