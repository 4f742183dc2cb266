package measure

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"strings"
)

// ScriptLine is what a script's first line asks the kernel to execute.
type ScriptLine struct {
	// Interpreter is the program as it is written, an absolute path.
	Interpreter string
	// Argument is the rest of the line without the blanks around it, one argument
	// however many words it has; "" for none.
	Argument string
}

// headSize is what the kernel reads of a script (BINPRM_BUF_SIZE).
const headSize = 256

const lineBlanks = " \t"

// ParseScriptLine reads a script's first bytes (256 at most) as the kernel
// does, and refuses where the kernel would cut the line short or would take a
// name relative to the working directory.
func ParseScriptLine(head []byte) (ScriptLine, error) {
	if !bytes.HasPrefix(head, []byte("#!")) {
		return ScriptLine{}, errors.New("it does not begin with the two characters #! of a script")
	}
	line, _, ended := bytes.Cut(head[2:], []byte("\n"))
	if !ended && len(head) >= headSize {
		return ScriptLine{}, fmt.Errorf("its first line is longer than the %d bytes that the kernel reads", headSize)
	}
	if bytes.IndexByte(line, 0) >= 0 {
		return ScriptLine{}, errors.New("its first line holds a NUL byte")
	}
	text := strings.Trim(string(line), lineBlanks)
	l := ScriptLine{Interpreter: text}
	if i := strings.IndexAny(text, lineBlanks); i >= 0 {
		l.Interpreter, l.Argument = text[:i], strings.Trim(text[i:], lineBlanks)
	}
	if !path.IsAbs(l.Interpreter) {
		return ScriptLine{}, fmt.Errorf("its first line names the interpreter %q, which is no absolute path", l.Interpreter)
	}
	return l, nil
}

// Indirect says why an interpreter of this name would only look for another
// one, or "". The names are the one in the script and the canonical one.
func (l ScriptLine) Indirect(canonical string) string {
	for _, name := range []string{path.Base(l.Interpreter), path.Base(canonical)} {
		if name == "env" {
			return "env looks for the interpreter in PATH when it runs, where nobody has measured it; name the interpreter itself"
		}
	}
	return ""
}
