//! As much JSON as a hook needs: find a text in the input, write a text into the
//! reply.

/// The text at a path of members of objects, such as ["labels", "team"].
pub fn text(json: &str, path: &[&str]) -> Option<String> {
    let mut value = json.trim_start();
    for name in path {
        value = member(value, name)?;
    }
    string(value).map(|(text, _)| text)
}

/// A text as a JSON string.
pub fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => out += &format!("\\u{:04x}", c as u32),
            c => out.push(c),
        }
    }
    out + "\""
}

/// The value of one member of the object that json begins with.
fn member<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = json.strip_prefix('{')?.trim_start();
    loop {
        let (key, after) = string(rest)?;
        let value = after.trim_start().strip_prefix(':')?.trim_start();
        if key == name {
            return Some(value);
        }
        rest = skip(value)?.trim_start().strip_prefix(',')?.trim_start();
    }
}

/// What follows the value that json begins with.
fn skip(json: &str) -> Option<&str> {
    let mut depth = 0;
    let mut rest = json;
    loop {
        rest = rest.trim_start();
        match rest.chars().next()? {
            '"' => rest = string(rest)?.1,
            '{' | '[' => (depth, rest) = (depth + 1, &rest[1..]),
            '}' | ']' => (depth, rest) = (depth - 1, &rest[1..]),
            ',' | ':' => rest = &rest[1..],
            _ => rest = &rest[rest.find([',', ':', ']', '}', ' ', '\t', '\n', '\r']).unwrap_or(rest.len())..],
        }
        if depth <= 0 {
            return Some(rest);
        }
    }
}

/// The string that json begins with, and what follows it.
fn string(json: &str) -> Option<(String, &str)> {
    let body = json.strip_prefix('"')?;
    let mut out = Vec::new(); // UTF-16: escapes may be halves of a pair
    let mut chars = body.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((String::from_utf16(&out).ok()?, &body[at + 1..])),
            '\\' => out.push(match chars.next()?.1 {
                'b' => 8,
                'f' => 12,
                'n' => 10,
                'r' => 13,
                't' => 9,
                'u' => (0..4).try_fold(0, |n, _| Some(n << 4 | chars.next()?.1.to_digit(16)? as u16))?,
                c => c as u16,
            }),
            c => out.extend_from_slice(c.encode_utf16(&mut [0; 2])),
        }
    }
    None
}
