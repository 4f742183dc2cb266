//! A hook proposes changes to the environment of a backend. It is an ordinary
//! program: it reads one JSON object from standard input, writes one to standard
//! output, and ends with status 0. It can open no files and no sockets.
//!
//! Build it (once: rustup target add wasm32-wasip1) and print the digest that
//! pins it in a definition:
//!
//!     rustc --target wasm32-wasip1 --edition 2021 -O -C strip=symbols -C panic=abort -o hook.wasm main.rs
//!     spawnward hook check hook.wasm
//!
//! Try it:
//!
//!     spawnward hook run hook.wasm < input.json
//!
//! A hook with a Cargo.toml may use serde_json instead of the module json.

mod json;

use std::io::Read;

fn main() {
    let mut input = String::new();
    if std::io::stdin().read_to_string(&mut input).is_err() {
        fail("the input cannot be read");
    }
    // There is more: version, instance, binary.path, binary.sha256, args, env.
    let Some(service) = json::text(&input, &["service"]) else {
        fail("the input names no service");
    };
    println!("{}", decide(&input, &service));
}

fn decide(input: &str, service: &str) -> String {
    // Reject by a label. The code has lower-case letters, digits and _.
    if json::text(input, &["labels", "maintenance"]).as_deref() == Some("yes") {
        let message = json::quote(&format!("{service} is under maintenance"));
        return format!(r#"{{"v":1,"reject":{{"code":"maintenance","message":{message}}}}}"#);
    }
    // Set a variable from the configuration in the definition.
    match json::text(input, &["config", "zone"]) {
        Some(zone) if !zone.is_empty() => {
            format!(r#"{{"v":1,"set":{{"APP_REGION":{}}}}}"#, json::quote(&zone))
        }
        _ => r#"{"v":1,"warnings":["config.zone is empty; the region is not set"]}"#.to_string(),
    }
}

/// Any other status than 0 denies the launch, and standard error is shown.
fn fail(why: &str) -> ! {
    eprintln!("{why}");
    std::process::exit(1);
}
