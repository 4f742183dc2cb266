package fswalk

import (
	"os"
	"slices"
	"strconv"
	"strings"
)

// Identities answers questions about the users and groups of this machine from
// the passwd and group files, read at first need. Directory services are not
// asked: a group that only they know counts as other people. The zero value is
// not usable; see [NewIdentities]. Not safe for concurrent use.
type Identities struct {
	uid    int
	passwd string
	group  string
	users  []User
	groups []group
	read   bool // the users
	asked  bool // for the groups
}

// User is one line of the passwd file.
type User struct {
	Name  string
	UID   int
	GID   int
	Home  string
	Shell string
}

type group struct {
	name    string
	gid     int
	members []string
}

// NewIdentities answers for the launching user with the given effective uid.
func NewIdentities(uid int) *Identities {
	return &Identities{uid: uid, passwd: "/etc/passwd", group: "/etc/group"}
}

// UID is the launching user.
func (i *Identities) UID() int { return i.uid }

// Self is the launching user's passwd entry; false when there is none.
func (i *Identities) Self() (User, bool) {
	i.load()
	for _, u := range i.users {
		if u.UID == i.uid {
			return u, true
		}
	}
	return User{}, false
}

// Homes lists the home directories of people: the launching user, root and the
// accounts from uid 1000 on, except nobody.
func (i *Identities) Homes() []string {
	i.load()
	homes := []string{}
	for _, u := range i.users {
		person := u.UID >= 1000 && u.UID < 65534
		if (person || u.UID == 0 || u.UID == i.uid) && strings.HasPrefix(u.Home, "/") {
			homes = append(homes, u.Home)
		}
	}
	return homes
}

// PrivateGroup reports whether gid is the launching user's own private group:
// the user's primary group, of the user's name and no other, with no other
// member and nobody else's primary group.
func (i *Identities) PrivateGroup(gid uint32) bool {
	self, ok := i.Self()
	if !ok || self.GID != int(gid) {
		return false
	}
	for _, u := range i.users {
		if u.GID == self.GID && u.UID != self.UID {
			return false
		}
	}
	own := false
	for _, g := range i.allGroups() {
		if g.gid != self.GID {
			continue
		}
		other := func(m string) bool { return m != self.Name }
		if g.name != self.Name || slices.ContainsFunc(g.members, other) {
			return false
		}
		own = true
	}
	return own
}

func (i *Identities) load() {
	if i.read {
		return
	}
	i.read = true
	for _, f := range fields(i.passwd, 4, 7) {
		uid, err1 := strconv.Atoi(f[2])
		gid, err2 := strconv.Atoi(f[3])
		if err1 == nil && err2 == nil {
			i.users = append(i.users, User{Name: f[0], UID: uid, GID: gid, Home: f[5], Shell: f[6]})
		}
	}
}

// allGroups reads the groups, which only a group-writable file asks for.
func (i *Identities) allGroups() []group {
	if i.asked {
		return i.groups
	}
	i.asked = true
	for _, f := range fields(i.group, 3, 4) {
		gid, err := strconv.Atoi(f[2])
		if err != nil {
			continue
		}
		g := group{name: f[0], gid: gid}
		if f[3] != "" {
			g.members = strings.Split(f[3], ",")
		}
		i.groups = append(i.groups, g)
	}
	return i.groups
}

// fields reads a colon-separated account file; a file that cannot be read has
// no lines, which makes every answer the stricter one. Lines are taken as the C
// library takes them, so that nobody it knows is overlooked: comments do not
// count, missing last fields are empty, the last one may hold colons.
func fields(file string, least, n int) [][]string {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	var out [][]string
	for line := range strings.Lines(string(data)) {
		line = strings.TrimLeft(strings.TrimRight(line, "\n"), " \t")
		f := strings.SplitN(line, ":", n)
		if strings.HasPrefix(line, "#") || len(f) < least {
			continue
		}
		for len(f) < n {
			f = append(f, "")
		}
		out = append(out, f)
	}
	return out
}
