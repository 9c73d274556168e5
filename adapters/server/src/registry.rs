//! The registry that this process goes by.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context as _, Result};
use gatelet_core::registry::{CATALOGUE, Registry};

static STANDING: OnceLock<Registry> = OnceLock::new();

/// Takes the catalogue that is named, or `catalogue` in the data folder or beside the executable, or else what the
/// executable carries. Said once, before anything else is done; a file that is not whole is refused.
pub fn choose(named: Option<&Path>, data: Option<&Path>) -> Result<()> {
    let usual = || {
        let beside = std::env::current_exe().ok().and_then(|path| path.parent().map(Path::to_path_buf));
        let folders = data.map(Path::to_path_buf).into_iter().chain(beside);
        folders.map(|folder| folder.join(CATALOGUE)).find(|path| path.is_file())
    };
    let Some(path) = named.map(Path::to_path_buf).or_else(usual) else { return Ok(()) };
    // Another choice has been made: a process makes one.
    let _ = STANDING.set(read(&path)?);
    Ok(())
}

pub(crate) fn standing() -> Registry {
    STANDING.get_or_init(Registry::full).clone()
}

fn read(path: &PathBuf) -> Result<Registry> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Registry::with_catalogue(bytes.into()).with_context(|| format!("the catalogue {}", path.display()))
}
