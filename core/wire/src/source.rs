//! Media in requests: data URIs, base64 in its field varieties, and what bytes really are.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use crate::chat::Source;

impl Source {
    /// What a URL stands for: bytes if it is a `data:` URI, else itself.
    ///
    /// Data URIs come with parameters, in capitals, percent-free but with line breaks, and in the alphabet of URLs: all
    /// are brought to one form. One that cannot be read stays a URL, and its reader says what is wrong with it.
    pub fn of_url(url: &str) -> Self {
        data_uri(url).unwrap_or_else(|| Self::Url(url.to_owned()))
    }

    /// The source as a URL, where it can be one.
    pub fn to_url(&self) -> Option<String> {
        match self {
            Self::Base64 { media_type, data } => Some(format!("data:{media_type};base64,{data}")),
            Self::Url(url) => Some(url.clone()),
            Self::Text { media_type, text } => {
                Some(format!("data:{media_type};base64,{}", STANDARD.encode(text)))
            }
            Self::File(_) => None,
        }
    }
}

fn data_uri(url: &str) -> Option<Source> {
    let scheme = url.get(..5)?;
    if !scheme.eq_ignore_ascii_case("data:") {
        return None;
    }
    let (head, data) = url.get(5..)?.split_once(',')?;
    let mut parameters = head.split(';').map(str::trim);
    let media_type = parameters.next().filter(|media| !media.is_empty()).unwrap_or("text/plain");
    if !parameters.any(|parameter| parameter.eq_ignore_ascii_case("base64")) {
        return None;
    }
    Some(Source::Base64 { media_type: media_type.to_ascii_lowercase(), data: standard_base64(data)? })
}

/// Base64 in the standard alphabet, padded, without white space. None if it is no base64.
pub fn standard_base64(data: &str) -> Option<String> {
    let mut text: String = data
        .chars()
        .filter(|character| !character.is_ascii_whitespace() && *character != '=')
        .map(|character| match character {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    let alphabet = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    if text.len() % 4 == 1 || !text.bytes().all(alphabet) {
        return None;
    }
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    Some(text)
}

/// The bytes of standard base64.
pub fn decoded(data: &str) -> Option<Vec<u8>> {
    STANDARD_NO_PAD.decode(data.trim_end_matches('=')).ok()
}

/// Base64 of `bytes`, as sources hold it.
pub fn encoded(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// What the first bytes say that base64 `data` is. Callers name the wrong type often enough.
pub fn sniffed(data: &str) -> Option<&'static str> {
    picture_or_page(&decoded(data.get(..data.len().min(16) / 4 * 4)?)?)
}

/// What the first bytes say that `bytes` are: pictures, documents and sound.
pub fn sniffed_bytes(bytes: &[u8]) -> Option<&'static str> {
    const BEGINNINGS: &[(&[u8], &str)] = &[
        (b"ID3", "audio/mpeg"),
        (b"\xff\xfb", "audio/mpeg"),
        (b"\xff\xf3", "audio/mpeg"),
        (b"\xff\xf2", "audio/mpeg"),
        (b"OggS", "audio/ogg"),
        (b"fLaC", "audio/flac"),
    ];
    if let Some(media) = picture_or_page(bytes) {
        return Some(media);
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WAVE") {
        return Some("audio/wav");
    }
    BEGINNINGS.iter().find(|(beginning, _)| bytes.starts_with(beginning)).map(|(_, media)| *media)
}

fn picture_or_page(head: &[u8]) -> Option<&'static str> {
    const BEGINNINGS: &[(&[u8], &str)] = &[
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (b"%PDF-", "application/pdf"),
    ];
    if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP") {
        return Some("image/webp");
    }
    BEGINNINGS.iter().find(|(beginning, _)| head.starts_with(beginning)).map(|(_, media)| *media)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base64(media_type: &str, data: &str) -> Source {
        Source::Base64 { media_type: media_type.to_owned(), data: data.to_owned() }
    }

    #[test]
    fn a_data_uri_with_parameters_capitals_line_breaks_or_the_url_alphabet_is_brought_to_one_form() {
        for uri in [
            "data:image/png;base64,+/+/AA==",
            "DATA:Image/PNG;charset=utf-8;BASE64,+/+/AA==",
            "data:image/png;base64,+/+\r\n/A\n A==",
            "data:image/png;base64,-_-_AA",
        ] {
            assert_eq!(Source::of_url(uri), base64("image/png", "+/+/AA=="), "{uri}");
        }
    }

    #[test]
    fn what_is_no_base64_stays_a_url() {
        for uri in [
            "https://example.com/a.png",
            "data:image/png,abc",
            "data:image/png;base64,a!b",
            "data:;base64,abcde",
        ] {
            assert_eq!(Source::of_url(uri), Source::Url(uri.to_owned()), "{uri}");
        }
    }

    #[test]
    fn the_type_is_read_from_the_bytes() {
        assert_eq!(sniffed("iVBORw0KGgoAAAANSUhEUg=="), Some("image/png"));
        assert_eq!(sniffed("/9j/4AAQSkZJRgABAQ=="), Some("image/jpeg"));
        assert_eq!(sniffed("UklGRiQAAABXRUJQVlA4"), Some("image/webp"));
        assert_eq!(sniffed("JVBERi0xLjQK"), Some("application/pdf"));
        assert_eq!(sniffed("AAAA"), None);
    }
}
