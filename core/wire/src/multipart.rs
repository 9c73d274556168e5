//! The beginning of a form (RFC 7578): its fields, as far as they have come, without the file.

use std::ops::Range;

use memchr::memmem;

use crate::Malformed;

/// What is known of a form from its first bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// Parts that are no files, by name, and where they begin, delimiter included, and their values stand.
    fields: Vec<(String, usize, Range<usize>)>,
    /// A file has begun.
    pub file: bool,
    /// The closing delimiter has come: there is no more.
    pub ended: bool,
}

/// The longest head of a part.
const MOST_HEAD: usize = 8 << 10;

impl Form {
    /// The delimiter that a content type names.
    pub fn boundary(content_type: &str) -> Option<&str> {
        let (kind, parameters) = content_type.split_once(';')?;
        if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
            return None;
        }
        let value = parameters.split(';').find_map(|parameter| {
            let (name, value) = parameter.trim().split_once('=')?;
            name.eq_ignore_ascii_case("boundary").then_some(value)
        })?;
        let value = value.trim_matches('"');
        (!value.is_empty() && value.len() <= 70).then_some(value)
    }

    /// Reads what has come of a body. What is not whole yet is left for the next time, when more of it is there.
    ///
    /// # Errors
    /// It is no form, or a field stands twice.
    pub fn read(boundary: &str, body: &[u8]) -> Result<Self, Malformed> {
        let mut form = Self::default();
        let delimiter = format!("\r\n--{boundary}");
        let first = delimiter.get(2..).unwrap_or_default().as_bytes();
        if !body.starts_with(first) {
            let whole = body.len() >= first.len() || !first.starts_with(body);
            return if whole { Err(wrong("the form's delimiter")) } else { Ok(form) };
        }
        let mut at = first.len();
        loop {
            let rest = body.get(at..).unwrap_or_default();
            if rest.starts_with(b"--") {
                form.ended = true;
                return Ok(form);
            }
            if rest.len() < 2 {
                return Ok(form);
            }
            if !rest.starts_with(b"\r\n") {
                return Err(wrong("a line's end after the delimiter"));
            }
            let Some(head) = memmem::find(rest, b"\r\n\r\n") else {
                return if rest.len() > MOST_HEAD {
                    Err(wrong("a shorter head of a part"))
                } else {
                    Ok(form)
                };
            };
            let (name, is_file) = disposition(rest.get(2..head).unwrap_or_default())?;
            let value = at + head + 4;
            form.file |= is_file;
            let Some(length) = memmem::find(body.get(value..).unwrap_or_default(), delimiter.as_bytes())
            else {
                return Ok(form);
            };
            if !is_file {
                let list = name.ends_with("[]");
                if !list && form.fields.iter().any(|(known, ..)| *known == name) {
                    return Err(Malformed::Duplicate { key: name });
                }
                form.fields.push((name, at - first.len(), value..value + length));
            }
            at = value + length + delimiter.len();
        }
    }

    /// A field's value, if it has come whole and is text.
    pub fn text<'b>(&self, body: &'b [u8], name: &str) -> Option<&'b str> {
        let (.., value) = self.fields.iter().find(|(known, ..)| known == name)?;
        std::str::from_utf8(body.get(value.clone())?).ok()
    }

    /// The body with another value for a field, all other bytes as they are.
    pub fn splice(&self, body: &[u8], name: &str, value: &str) -> Vec<u8> {
        match self.fields.iter().find(|(known, ..)| known == name) {
            Some((.., place)) => spliced(body, place.clone(), value),
            None => body.to_vec(),
        }
    }

    /// The body without a field.
    pub fn without(&self, body: &[u8], name: &str) -> Vec<u8> {
        match self.fields.iter().find(|(known, ..)| known == name) {
            // The line's end before the next delimiter goes with it.
            Some((_, start, value)) => spliced(body, *start..value.end + 2, ""),
            None => body.to_vec(),
        }
    }

    /// The body with another field before all others.
    pub fn with(body: &[u8], boundary: &str, name: &str, value: &str) -> Vec<u8> {
        let part =
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        spliced(body, 0..0, &part)
    }
}

fn spliced(body: &[u8], place: Range<usize>, text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + text.len());
    out.extend_from_slice(body.get(..place.start).unwrap_or_default());
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(body.get(place.end..).unwrap_or_default());
    out
}

/// A part's name, and whether it is a file.
fn disposition(head: &[u8]) -> Result<(String, bool), Malformed> {
    let head = std::str::from_utf8(head).map_err(|_| wrong("the head of a part in UTF-8"))?;
    let line = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    });
    let line = line.ok_or_else(|| wrong("`content-disposition` of a part"))?;
    let parameter = |wanted: &str| {
        line.split(';').find_map(|parameter| {
            let (name, value) = parameter.trim().split_once('=')?;
            name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().trim_matches('"').to_owned())
        })
    };
    let name = parameter("name").ok_or_else(|| wrong("the name of a part"))?;
    Ok((name, parameter("filename").is_some() || parameter("filename*").is_some()))
}

fn wrong(expected: &'static str) -> Malformed {
    Malformed::field("form", expected)
}

#[cfg(test)]
#[path = "multipart_tests.rs"]
mod tests;
