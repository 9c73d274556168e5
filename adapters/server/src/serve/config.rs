//! The configuration file, read at the start and again whenever it changed.

use std::fs::{self, Metadata};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use gatelet_core::policy::{Host, Policy, Problems};

use crate::registry;

/// Where the policy comes from.
#[derive(Debug)]
pub(super) struct Config {
    /// None: there is no file, and every provider is served that the environment has a key for.
    file: Option<PathBuf>,
    /// What the file was when it was read last.
    seen: Option<Seen>,
}

/// Tells one state of a file from another.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    modified: Option<SystemTime>,
    length: u64,
    #[cfg(unix)]
    inode: u64,
}

impl Config {
    /// Reads the file that was named, or `gatelet.yaml` here if there is one, or none.
    pub(super) fn open(named: Option<&Path>) -> Result<(Self, Policy)> {
        const USUAL: &str = "gatelet.yaml";
        let usual = Path::new(USUAL);
        let file = named.or_else(|| usual.exists().then_some(usual)).map(Path::to_owned);
        let Some(path) = &file else {
            return Ok((Self { file, seen: None }, Policy::without_document(&host())));
        };
        let seen = Seen::of(path);
        let policy = read(path)??;
        Ok((Self { file, seen }, policy))
    }

    /// The new policy if the file has changed since it was read last.
    pub(super) fn changed(&mut self) -> Option<Result<Policy>> {
        let path = self.file.as_deref()?;
        let seen = Seen::of(path);
        // A file that is gone for a moment is one that is being replaced.
        if seen.is_none() || seen == self.seen {
            return None;
        }
        self.seen = seen;
        Some(read(path).and_then(|policy| Ok(policy?)))
    }
}

/// Checks a file as `gatelet check` does.
pub(crate) fn read(path: &Path) -> Result<Result<Policy, Problems>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Policy::read(&path.display().to_string(), &text, &host()))
}

impl Seen {
    fn of(path: &Path) -> Option<Self> {
        let data: Metadata = fs::metadata(path).ok()?;
        Some(Self {
            modified: data.modified().ok(),
            length: data.len(),
            #[cfg(unix)]
            inode: std::os::unix::fs::MetadataExt::ino(&data),
        })
    }
}

fn host() -> Host<'static> {
    Host {
        variable: &|name| variable(name).map(|value| content(name, value)),
        ollama: ollama_answers(),
        registry: registry::standing(),
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// What the file says whose path a variable holds, where that is what variables of such a name hold; else the value.
fn content(name: &str, value: String) -> String {
    let names_a_file = name == "GOOGLE_APPLICATION_CREDENTIALS" || name.ends_with("_FILE");
    if !names_a_file || value.trim_start().starts_with(['{', '-']) {
        return value;
    }
    // A path that leads nowhere is told as what it is where it is used.
    fs::read_to_string(value.trim()).unwrap_or(value)
}

/// Whether an Ollama listens where it usually does. One that takes longer than a moment is not there.
fn ollama_answers() -> bool {
    const MOMENT: Duration = Duration::from_millis(10);
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], 11434)), MOMENT)?;
        stream.set_read_timeout(Some(MOMENT))?;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: 127.0.0.1:11434\r\nconnection: close\r\n\r\n")?;
        let mut start = [0; 12];
        stream.read_exact(&mut start)?;
        Ok(start == *b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}
