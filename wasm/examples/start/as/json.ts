// As much JSON as a hook needs: find a text in the input, write a text into the
// reply.

/** The text at a path of members of objects, such as ["labels", "team"]. */
export function text(json: string, path: string[]): string | null {
  const r = new Reader(json);
  for (let i = 0; i < path.length; i++) {
    if (!r.enter(path[i])) return null;
  }
  return r.text();
}

/** A text as a JSON string. */
export function quote(text: string): string {
  let out = '"';
  let from = 0; // what is written up to here
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c >= 0x20 && c != 0x22 && c != 0x5c) continue;
    out += text.substring(from, i) + "\\u00" + (c < 0x10 ? "0" : "") + c.toString(16);
    from = i + 1;
  }
  return out + text.substring(from) + '"';
}

// What follows a backslash, and what it means.
const plain = '"\\/bfnrt';
const means = '"\\/\b\f\n\r\t';

class Reader {
  at: i32 = 0;
  constructor(private json: string) {}

  /** The next character that is no white space; 0 at the end. */
  peek(): i32 {
    while (this.at < this.json.length) {
      const c = this.json.charCodeAt(this.at);
      if (c != 0x20 && (c < 0x09 || c > 0x0d)) return c;
      this.at++;
    }
    return 0;
  }

  take(c: i32): bool {
    if (this.peek() != c) return false;
    this.at++;
    return true;
  }

  /** Goes to the value of a member of the object that comes next. */
  enter(name: string): bool {
    if (!this.take(0x7b)) return false; // {
    do {
      const key = this.text();
      if (key === null || !this.take(0x3a)) return false; // :
      if (key == name) return true;
      if (!this.skip()) return false;
    } while (this.take(0x2c)); // ,
    return false;
  }

  /** Passes over the value that comes next. */
  skip(): bool {
    let depth = 0;
    do {
      const c = this.peek();
      if (c == 0) return false;
      if (c == 0x22) {
        if (!this.skipString()) return false;
        continue;
      }
      if (c == 0x7b || c == 0x5b) depth++; // { [
      if (c == 0x7d || c == 0x5d) depth--; // } ]
      this.at++;
      if (depth > 0 || c == 0x7d || c == 0x5d) continue;
      // A number or a word.
      while (this.at < this.json.length && ",]}".indexOf(this.json.charAt(this.at)) < 0) this.at++;
    } while (depth > 0);
    return true;
  }

  skipString(): bool {
    for (this.at++; this.at < this.json.length; this.at++) {
      const c = this.json.charCodeAt(this.at);
      if (c == 0x22) {
        this.at++;
        return true;
      }
      if (c == 0x5c) this.at++;
    }
    return false;
  }

  /** The string that comes next. */
  text(): string | null {
    if (this.peek() != 0x22) return null;
    let from = this.at + 1;
    if (!this.skipString()) return null;
    const end = this.at - 1;
    let out = "";
    for (let at = this.json.indexOf("\\", from); at >= 0 && at < end; at = this.json.indexOf("\\", from)) {
      out += this.json.substring(from, at);
      const known = plain.indexOf(this.json.charAt(at + 1));
      from = at + 2;
      if (known >= 0) {
        out += means.charAt(known);
      } else {
        out += String.fromCharCode(<i32>parseInt(this.json.substring(from, from + 4), 16));
        from += 4;
      }
    }
    return out + this.json.substring(from, end);
  }
}
