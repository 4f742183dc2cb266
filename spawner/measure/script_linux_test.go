package measure

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestScriptLine(t *testing.T) {
	for _, c := range []struct{ head, interpreter, argument, bad string }{
		{"#!/bin/sh\necho", "/bin/sh", "", ""},
		{"#!/bin/sh", "/bin/sh", "", ""},
		{"#! \t/bin/sh \t \n", "/bin/sh", "", ""},
		{"#!/usr/bin/perl -w\n", "/usr/bin/perl", "-w", ""},
		{"#!/usr/bin/python3\t-I  -u \n", "/usr/bin/python3", "-I  -u", ""},
		{"#!/bin/sh\r\n", "/bin/sh\r", "", ""}, // as the kernel takes it
		{"#!\n/bin/sh\n", "", "", "no absolute path"},
		{"#!sh\n", "", "", "no absolute path"},
		{"", "", "", "does not begin"},
		{"\x7fELF", "", "", "does not begin"},
		{"#!/bin/sh -c\x00x\n", "", "", "NUL"},
		{"#!/bin/" + strings.Repeat("x", 300), "", "", "longer than"},
		{"#!/bin/sh " + strings.Repeat("x", 300), "", "", "longer than"},
	} {
		l, err := ParseScriptLine([]byte(c.head)[:min(len(c.head), headSize)])
		if c.bad != "" {
			require.ErrorContains(t, err, c.bad, "%q", c.head)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, ScriptLine{c.interpreter, c.argument}, l, "%q", c.head)
	}
}

func TestIndirectInterpreters(t *testing.T) {
	require.NotEmpty(t, ScriptLine{Interpreter: "/usr/bin/env"}.Indirect("/usr/bin/coreutils"))
	require.NotEmpty(t, ScriptLine{Interpreter: "/opt/python"}.Indirect("/usr/bin/env"))
	require.Empty(t, ScriptLine{Interpreter: "/bin/sh"}.Indirect("/usr/bin/dash"))
}

func FuzzScriptLine(f *testing.F) {
	f.Add([]byte("#!/bin/sh -e\n"))
	f.Add([]byte("#! /usr/bin/env python3\n"))
	f.Fuzz(func(t *testing.T, head []byte) {
		head = head[:min(len(head), headSize)]
		l, err := ParseScriptLine(head)
		if err != nil {
			return
		}
		require.True(t, strings.HasPrefix(l.Interpreter, "/"))
		require.NotContains(t, l.Interpreter+l.Argument, "\n")
		require.NotContains(t, l.Interpreter+l.Argument, "\x00")
		require.Equal(t, scriptInterpreter(head), l.Interpreter, "the fact names what would run")
	})
}
