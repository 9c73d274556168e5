//! What lies in a host's archive.

use std::io::Read as _;

use anyhow::{Context as _, Result};
use flate2::read::MultiGzDecoder;
use serde_json::Value;

use crate::sdk;

/// One object of the archive under its name, such as `v1/date=2026-11-22/hour=17/….ndjson.gz`.
#[derive(Debug, Clone)]
pub struct Object {
    pub name: String,
    pub bytes: Vec<u8>,
}

impl Object {
    /// What a reader that knows nothing of us makes of these: the sums of one key's requests, by `DuckDB`.
    pub async fn sums(objects: Vec<Self>, key: &str) -> Result<Value> {
        let folder = tempfile::tempdir()?;
        for object in objects {
            let path = folder.path().join(&object.name);
            std::fs::create_dir_all(path.parent().context("an object without a folder")?)?;
            std::fs::write(path, &object.bytes)?;
        }
        let (place, key) = (folder.path().to_str().context("no text")?.to_owned(), key.to_owned());
        tokio::task::spawn_blocking(move || sdk::judge("archive_sums.py", &[&place, &key], &[])).await?
    }

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
