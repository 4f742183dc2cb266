// The three functions of WASI preview 1 that a hook needs.

@external("wasi_snapshot_preview1", "fd_read")
declare function fd_read(fd: i32, iovs: usize, count: i32, done: usize): i32;
@external("wasi_snapshot_preview1", "fd_write")
declare function fd_write(fd: i32, iovs: usize, count: i32, done: usize): i32;
@external("wasi_snapshot_preview1", "proc_exit")
declare function proc_exit(status: i32): void;

const vector = memory.data(8); // one address and length
const done = memory.data(4);

/** Everything that can be read from a descriptor, as UTF-8. */
export function read(fd: i32): string {
  let buffer = new ArrayBuffer(65536);
  let length = 0;
  do {
    length += load<i32>(done);
    if (length == buffer.byteLength) {
      const larger = new ArrayBuffer(2 * length);
      memory.copy(changetype<usize>(larger), changetype<usize>(buffer), length);
      buffer = larger;
    }
    store<usize>(vector, changetype<usize>(buffer) + length);
    store<i32>(vector, buffer.byteLength - length, 4);
    if (fd_read(fd, vector, 1, done) != 0) exit(1);
  } while (load<i32>(done) != 0);
  return String.UTF8.decodeUnsafe(changetype<usize>(buffer), length);
}

/** Writes a text to a descriptor, as UTF-8. */
export function write(fd: i32, text: string): void {
  const bytes = String.UTF8.encode(text);
  for (let at = 0; at < bytes.byteLength; at += load<i32>(done)) {
    store<usize>(vector, changetype<usize>(bytes) + at);
    store<i32>(vector, bytes.byteLength - at, 4);
    if (fd_write(fd, vector, 1, done) != 0) exit(1);
  }
}

/** Ends the program. */
export function exit(status: i32): void {
  proc_exit(status);
}
