//! Object literals as bundlers write them: keys without quotes, `!0` for true.

use anyhow::{Context, Result, bail};
use serde_json::{Map, Number, Value};

/// Reads one value from the beginning of `text`; answers it and how many bytes it has.
pub(super) fn read(text: &[u8]) -> Result<(Value, usize)> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    Ok((value, reader.at))
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Result<Value> {
        if depth > 64 {
            bail!("too deep at {}", self.at);
        }
        match self.peek().context("it ends in the middle")? {
            b'{' => self.object(depth),
            b'[' => self.list(depth),
            b'"' | b'\'' | b'`' => Ok(Value::String(self.string()?)),
            b'!' => {
                self.at += 1;
                let value = self.peek() == Some(b'0');
                self.at += 1;
                Ok(Value::Bool(value))
            }
            _ => {
                let word = self.word();
                match word.as_str() {
                    "true" => Ok(Value::Bool(true)),
                    "false" => Ok(Value::Bool(false)),
                    "null" => Ok(Value::Null),
                    number => {
                        let number: f64 =
                            number.parse().with_context(|| format!("{number:?} at {}", self.at))?;
                        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
                    }
                }
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value> {
        let mut fields = Map::new();
        self.at += 1;
        while !self.take(b'}') {
            let key = if matches!(self.peek(), Some(b'"' | b'\'')) { self.string()? } else { self.word() };
            if !self.take(b':') {
                bail!("no value for {key:?} at {}", self.at);
            }
            let value = self.value(depth + 1)?;
            fields.insert(key, value);
            self.take(b',');
        }
        Ok(Value::Object(fields))
    }

    fn list(&mut self, depth: usize) -> Result<Value> {
        let mut items = Vec::new();
        self.at += 1;
        while !self.take(b']') {
            items.push(self.value(depth + 1)?);
            self.take(b',');
        }
        Ok(Value::Array(items))
    }

    /// Up to what ends a key or a number.
    fn word(&mut self) -> String {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let end = rest.iter().position(|byte| b":,}]".contains(byte)).unwrap_or(rest.len());
        self.at += end;
        String::from_utf8_lossy(&rest[..end]).into_owned()
    }

    fn string(&mut self) -> Result<String> {
        let quote = self.peek().context("no string")?;
        self.at += 1;
        let mut text = Vec::new();
        loop {
            let byte = self.peek().context("a string that does not end")?;
            self.at += 1;
            match byte {
                _ if byte == quote => return Ok(String::from_utf8_lossy(&text).into_owned()),
                b'\\' => {
                    let escaped = self.peek().context("a string that does not end")?;
                    self.at += 1;
                    match escaped {
                        b'n' => text.push(b'\n'),
                        b't' => text.push(b'\t'),
                        b'u' | b'x' => {
                            let digits = if escaped == b'u' { 4 } else { 2 };
                            let code = self.text.get(self.at..self.at + digits).unwrap_or_default();
                            let code =
                                u32::from_str_radix(&String::from_utf8_lossy(code), 16).unwrap_or(0xfffd);
                            self.at += digits;
                            let letter = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                            text.extend(letter.to_string().as_bytes());
                        }
                        other => text.push(other),
                    }
                }
                other => text.push(other),
            }
        }
    }
}
