//! Packs the lists of words as the crate embeds them: a quarter less to upload, where hosts weigh what they are given.
//!
//! Each line of `sense: word word …` becomes `sense:`, then for each of its words, sorted, how many letters it shares with
//! the word before and those that it does not, then [`END`].

#![expect(
    clippy::disallowed_methods,
    reason = "the rule is for what runs on a host; this runs at build time"
)]

use std::path::Path;
use std::{env, fs, process};

const LISTS: [&str; 2] = ["data/words.txt", "data/names.txt"];
/// Not a byte of UTF-8.
const END: u8 = 0xff;
/// What is shared is told by one byte that is no letter.
const MOST_SHARED: usize = 31;

fn main() {
    let mut packed = Vec::new();
    for list in LISTS {
        println!("cargo::rerun-if-changed={list}");
        let text = fs::read_to_string(list).unwrap_or_default();
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.is_empty()) {
            if let Err(wrong) = pack(line, &mut packed) {
                println!("cargo::error={list}:{number}: {wrong}");
                process::exit(1);
            }
        }
    }
    let out = env::var("OUT_DIR").unwrap_or_default();
    if let Err(error) = fs::write(Path::new(&out).join("words.bin"), packed) {
        println!("cargo::error={error}");
        process::exit(1);
    }
}

fn pack(line: &str, packed: &mut Vec<u8>) -> Result<(), String> {
    let (sense, words) = line.split_once(": ").ok_or("expected `sense: word word …`")?;
    let mut words: Vec<&[u8]> = words.split_ascii_whitespace().map(str::as_bytes).collect();
    words.sort_unstable();
    packed.extend_from_slice(sense.as_bytes());
    packed.push(b':');
    let mut before: &[u8] = &[];
    for word in words {
        if word.iter().any(u8::is_ascii_control) {
            return Err(format!("`{}` is no word", String::from_utf8_lossy(word).escape_debug()));
        }
        let shared = before.iter().zip(word).take(MOST_SHARED).take_while(|(a, b)| a == b).count();
        packed.extend(u8::try_from(shared));
        packed.extend(word.iter().skip(shared));
        before = word;
    }
    packed.push(END);
    Ok(())
}
