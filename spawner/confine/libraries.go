package confine

import "strings"

const loaderCache = "/etc/ld.so.cache"

// libraries are the directories in which a dynamic loader looks without being
// told. A static program needs none.
func libraries(interpreter string) []string {
	if interpreter == "" {
		return nil
	}
	dirs := strings.Fields("/lib /lib32 /lib64 /libx32 /usr/lib /usr/lib32 /usr/lib64 /usr/libx32 /usr/local/lib")
	for _, store := range []string{"/nix/store", "/gnu/store"} {
		if strings.HasPrefix(interpreter, store+"/") {
			dirs = append(dirs, store)
		}
	}
	return dirs
}
