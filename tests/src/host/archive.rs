//! What lies in a host's archive.

use std::io::Read as _;
use std::path::Path;

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

    /// All complete files below a folder, under their paths from there.
    pub(super) fn of_folder(folder: &Path) -> Result<Vec<Self>> {
        let mut objects = Vec::new();
        let mut folders = vec![folder.to_path_buf()];
        while let Some(next) = folders.pop() {
            let Ok(entries) = std::fs::read_dir(&next) else { continue };
            for entry in entries {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "gz") {
                    let name = path.strip_prefix(folder)?.to_string_lossy().into_owned();
                    objects.push(Self { name, bytes: std::fs::read(&path)? });
                }
            }
        }
        Ok(objects)
    }
}
