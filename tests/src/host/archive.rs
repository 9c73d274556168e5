//! What lies in a host's archive.

use std::io::Read as _;

use anyhow::{Context as _, Result};
use flate2::read::MultiGzDecoder;
use serde_json::Value;

/// One object of the archive under its name, such as `v1/date=2026-11-22/hour=17/….ndjson.gz`.
#[derive(Debug, Clone)]
pub struct Object {
    pub name: String,
    pub bytes: Vec<u8>,
}

impl Object {
    /// The records in it, one a line.
    pub fn records(&self) -> Result<Vec<Value>> {
        let mut text = String::new();
        MultiGzDecoder::new(self.bytes.as_slice())
            .read_to_string(&mut text)
            .with_context(|| format!("{} is not gzipped text", self.name))?;
        text.lines()
            .map(|line| serde_json::from_str(line).with_context(|| format!("{}: {line}", self.name)))
            .collect()
    }
}
