package fswalk

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// accounts answers for uid from the given files; a text of "-" is no file.
func accounts(t *testing.T, uid int, passwd, group string) *Identities {
	t.Helper()
	dir := t.TempDir()
	ids := &Identities{uid: uid, passwd: filepath.Join(dir, "passwd"), group: filepath.Join(dir, "group")}
	for file, text := range map[string]string{ids.passwd: passwd, ids.group: group} {
		if text != "-" {
			require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		}
	}
	return ids
}

func TestPrivateGroup(t *testing.T) {
	const ann = "ann:x:1000:1000:Ann:/home/ann:/bin/sh\n"
	for name, c := range map[string]struct {
		passwd, group string
		gid           uint32
		want          bool
	}{
		"own group without members":              {ann, "ann:x:1000:\n", 1000, true},
		"own group that lists the user":          {ann, "ann:x:1000:ann\n", 1000, true},
		"last lines without newline":             {"ann:x:1000:1000:Ann:/home/ann:/bin/sh", "ann:x:1000:", 1000, true},
		"short lines":                            {"ann:x:1000:1000\n", "ann:x:1000\n", 1000, true},
		"indented lines":                         {" \t" + ann, "  ann:x:1000:\n", 1000, true},
		"another group":                          {ann, "ann:x:1000:\nwork:x:50:ann\n", 50, false},
		"own group of another name":              {ann, "users:x:1000:\n", 1000, false},
		"another member":                         {ann, "ann:x:1000:ann,bob\n", 1000, false},
		"an empty member":                        {ann, "ann:x:1000:ann,\n", 1000, false},
		"a member with a carriage return":        {ann, "ann:x:1000:ann\r\n", 1000, false},
		"primary group of somebody else":         {ann + "bob:x:1001:1000::/:/bin/sh\n", "ann:x:1000:\n", 1000, false},
		"somebody else on a short line":          {ann + "bob:x:1001:1000\n", "ann:x:1000:\n", 1000, false},
		"somebody else whose shell has colons":   {ann + "bob:x:1001:1000:::/bin/sh:x:y\n", "ann:x:1000:\n", 1000, false},
		"somebody else on an indented line":      {ann + "  bob:x:1001:1000:::\n", "ann:x:1000:\n", 1000, false},
		"somebody else on a commented line":      {ann + "#bob:x:1001:1000:::\n", "ann:x:1000:\n", 1000, true},
		"the same user under two names":          {ann + "too:x:1000:1000:::\n", "ann:x:1000:\n", 1000, true},
		"a second name of the group":             {ann, "ann:x:1000:\nshared:x:1000:\n", 1000, false},
		"a second name with members":             {ann, "ann:x:1000:\nshared:x:1000:bob\n", 1000, false},
		"a second name that comes first":         {ann, "shared:x:1000:bob\nann:x:1000:\n", 1000, false},
		"the same name twice, the second shared": {ann, "ann:x:1000:\nann:x:1000:bob\n", 1000, false},
		"no group line":                          {ann, "root:x:0:\n", 1000, false},
		"no group file":                          {ann, "-", 1000, false},
		"no passwd file":                         {"-", "ann:x:1000:\n", 1000, false},
		"no passwd line":                         {"root:x:0:0:::\n", "ann:x:1000:\n", 1000, false},
		"own line is a comment":                  {"#" + ann, "ann:x:1000:\n", 1000, false},
		"numbers that are none":                  {"ann:x:1000:0x3e8::/:\nbob:x:no:1000:::\n", "ann:x:1000:\n", 1000, false},
		"numbers out of range":                   {"ann:x:1000:99999999999999999999:::\n", "ann:x:1000:\n", 1000, false},
		"negative group":                         {"ann:x:1000:-1:::\n", "ann:x:-1:\n", 1<<32 - 1, false},
		"directory service line":                 {ann + "+::::::\n", "ann:x:1000:\n+:::\n", 1000, true},
		"binary rubbish":                         {"\x00\xff:::::::::\n" + ann, "\x00\xff\n:\n::::\nann:x:1000:\n", 1000, true},
	} {
		t.Run(name, func(t *testing.T) {
			ids := accounts(t, 1000, c.passwd, c.group)
			require.Equal(t, c.want, ids.PrivateGroup(c.gid))
			require.Equal(t, c.want, ids.PrivateGroup(c.gid), "the same answer twice")
		})
	}
}

func TestSelfAndHomes(t *testing.T) {
	const passwd = `root:x:0:0:root:/root:/bin/bash
# people
daemon:x:1:1::/usr/sbin:
svc:x:500:500::/srv/svc:/bin/false
ann:x:1000:1000:Ann, room 5:/home/ann:/bin/sh
bob:x:1001:1001::relative:/bin/sh
nobody:x:65534:65534::/nonexistent:/bin/false
`
	ids := accounts(t, 500, passwd, "-")
	self, ok := ids.Self()
	require.True(t, ok)
	require.Equal(t, User{Name: "svc", UID: 500, GID: 500, Home: "/srv/svc", Shell: "/bin/false"}, self)
	require.Equal(t, []string{"/root", "/srv/svc", "/home/ann"}, ids.Homes())
	require.Equal(t, 500, ids.UID())

	none := accounts(t, 7, "-", "-")
	_, ok = none.Self()
	require.False(t, ok)
	require.Equal(t, []string{}, none.Homes())
}

func FuzzPrivateGroup(f *testing.F) {
	f.Add("ann:x:1000:1000:::\n", "ann:x:1000:ann\n")
	f.Add("#\n\n:::\n", "a:b:c:d:e:f\n")
	f.Fuzz(func(t *testing.T, passwd, group string) {
		ids := accounts(t, 1000, passwd, group)
		if ids.PrivateGroup(1000) {
			self, ok := ids.Self()
			require.True(t, ok)
			require.Equal(t, 1000, self.GID)
		}
		ids.Homes()
	})
}
