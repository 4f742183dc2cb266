/* As much JSON as a hook needs: find a text in the input, write a text into the
 * reply. */
#ifndef JSON_H
#define JSON_H

#include <stdio.h>
#include <string.h>

static const char *json_space(const char *p) {
	while (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r') p++;
	return p;
}

/* Passes over a string, at whose first quote p stands. NULL: it has no end. */
static const char *json_skip_string(const char *p) {
	for (p++; *p; p++) {
		if (*p == '"') return p + 1;
		if (*p == '\\' && !*++p) break;
	}
	return NULL;
}

/* Passes over any value. The input is well formed; NULL: this one is not. */
static const char *json_skip(const char *p) {
	int depth = 0;
	do {
		p = json_space(p);
		if (*p == '"') {
			if (!(p = json_skip_string(p))) return NULL;
		} else if (*p == '{' || *p == '[') {
			depth++, p++;
		} else if (*p == '}' || *p == ']') {
			depth--, p++;
		} else if (*p == ',' || *p == ':') {
			p++;
		} else if (*p) {
			p += strcspn(p, ",:]} \t\n\r");
		} else {
			return NULL;
		}
	} while (depth > 0);
	return p;
}

/* Finds the value of one member of the object at p; NULL: there is none. */
static const char *json_member(const char *p, const char *name, size_t length) {
	p = json_space(p);
	if (*p != '{') return NULL;
	for (p = json_space(p + 1); *p == '"'; p = json_space(p + 1)) {
		const char *key = p + 1, *end = json_skip_string(p);
		if (!end) return NULL;
		p = json_space(end);
		if (*p != ':') return NULL;
		p = json_space(p + 1);
		if ((size_t)(end - 1 - key) == length && memcmp(key, name, length) == 0) return p;
		if (!(p = json_skip(p))) return NULL;
		p = json_space(p);
		if (*p != ',') return NULL;
	}
	return NULL;
}

static unsigned json_hex(const char *p) {
	unsigned n = 0;
	for (int i = 0; i < 4 && p[i] && p[i] != '"'; i++)
		n = n << 4 | (p[i] <= '9' ? p[i] - '0' : (p[i] | 32) - 'a' + 10);
	return n & 0xffff;
}

/* Copies the text at a path such as "labels.team" into out, which has room for
 * size bytes with the final NUL. Returns 0 when there is no such text, it is too
 * long, or it holds a NUL. */
static int json_text(const char *json, const char *path, char *out, size_t size) {
	size_t n = 0;
	for (;;) {
		size_t length = strcspn(path, ".");
		if (!(json = json_member(json, path, length))) return 0;
		if (!path[length]) break;
		path += length + 1;
	}
	if (*json != '"') return 0;
	for (const char *p = json + 1; *p && *p != '"'; p++) {
		unsigned c = (unsigned char)*p;
		if (n + 5 > size) return 0;
		if (c != '\\') {
			out[n++] = c;
			continue;
		}
		const char *plain = "\"\\/bfnrt", *means = "\"\\/\b\f\n\r\t", *at = *++p ? strchr(plain, *p) : NULL;
		if (at) {
			out[n++] = means[at - plain];
			continue;
		}
		if (*p != 'u') return 0;
		c = json_hex(p + 1), p += 4;
		if (c >= 0xd800 && c < 0xdc00 && p[1] == '\\' && p[2] == 'u')
			c = 0x10000 + (c - 0xd800) * 0x400 + (json_hex(p + 3) - 0xdc00), p += 6;
		if (c == 0) return 0;
		if (c < 0x80) {
			out[n++] = c;
		} else if (c < 0x800) {
			out[n++] = 0xc0 | c >> 6, out[n++] = 0x80 | (c & 63);
		} else if (c < 0x10000) {
			out[n++] = 0xe0 | c >> 12, out[n++] = 0x80 | (c >> 6 & 63), out[n++] = 0x80 | (c & 63);
		} else {
			out[n++] = 0xf0 | c >> 18, out[n++] = 0x80 | (c >> 12 & 63), out[n++] = 0x80 | (c >> 6 & 63), out[n++] = 0x80 | (c & 63);
		}
	}
	out[n] = 0;
	return 1;
}

/* Writes a text as a JSON string. */
static void json_write(const char *text) {
	static const char hex[] = "0123456789abcdef";
	putchar('"');
	for (; *text; text++) {
		unsigned char c = *text;
		if (c < ' ' || c == '"' || c == '\\') {
			fputs("\\u00", stdout), putchar(hex[c >> 4]), putchar(hex[c & 15]);
		} else {
			putchar(c);
		}
	}
	putchar('"');
}

/* Reads the whole input. NULL: it is longer than a hook's input can be. */
static const char *json_input(void) {
	static char input[(1 << 20) + 2];
	size_t n = fread(input, 1, sizeof input - 1, stdin);
	return n < sizeof input - 1 ? input : NULL;
}

#endif
