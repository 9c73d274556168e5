//! Addresses of the web in a text.

use crate::bytes::run;

/// A link: its whole range, and that of its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    pub start: usize,
    pub end: usize,
    pub host_start: usize,
    pub host_end: usize,
}

impl Link {
    /// The host as it is written, without user and port. Compare it without regard to case.
    pub fn host(self, text: &str) -> &str {
        text.get(self.host_start..self.host_end).unwrap_or_default()
    }
}

/// Addresses that begin with `http://`, `https://`, `ftp://`, `ws://`, `wss://`, or `www.`, in order.
pub fn scan(text: &str) -> Vec<Link> {
    const BEGINNINGS: [&[u8]; 6] = [b"http://", b"https://", b"ftp://", b"ws://", b"wss://", b"www."];
    let bytes = text.as_bytes();
    let mut links = Vec::new();
    let mut place = 0;
    while let Some(&byte) = bytes.get(place) {
        let rest = bytes.get(place..).unwrap_or_default();
        let begins =
            |with: &&[u8]| rest.get(..with.len()).is_some_and(|head| head.eq_ignore_ascii_case(with));
        let first = matches!(byte | 32, b'h' | b'f' | b'w');
        let alone = place == 0 || !bytes.get(place - 1).is_some_and(u8::is_ascii_alphanumeric);
        let Some(beginning) = (first && alone).then(|| BEGINNINGS.iter().find(|with| begins(with))).flatten()
        else {
            place += 1;
            continue;
        };
        let from = if beginning.ends_with(b".") { place } else { place + beginning.len() };
        let stop = run(bytes, from, 2048, |byte| byte > b' ' && !b"\"'<>`\\{}|^".contains(&byte));
        let mut end = stop;
        // What ends a sentence or closes a bracket is not the address's.
        while end > from && b".,;:!?)]*_".contains(&bytes.get(end - 1).copied().unwrap_or(0)) {
            end -= 1;
        }
        let authority = run(bytes, from, 512, |byte| byte > b' ' && !b"/?#\"'<>\\)".contains(&byte)).min(end);
        let named = bytes.get(from..authority).unwrap_or_default();
        let host_start = from + named.iter().rposition(|byte| *byte == b'@').map_or(0, |at| at + 1);
        let host = bytes.get(host_start..authority).unwrap_or_default();
        let port =
            if host.first() == Some(&b'[') { None } else { host.iter().position(|byte| *byte == b':') };
        let host_end = port.map_or(authority, |port| host_start + port);
        if host_end > host_start {
            links.push(Link { start: place, end, host_start, host_end });
        }
        place = stop.max(place + 1);
    }
    links
}
