//! The archive as a folder.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use gatelet_core::port::{Archive, Fault, FaultKind, Written};

/// Blobs as files in a folder. A file appears under its name when it is whole and on the disk.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
    /// Held from the look whether a name exists to its coming into being: of many writers of one name one is new. There
    /// is one process, which the store's lock sees to.
    naming: Arc<Mutex<()>>,
}

/// What files are called while they are written; names may not begin so.
const UNFINISHED: &str = ".unfinished-";

impl Folder {
    /// Makes the folder where it is missing, and clears away what an earlier process did not finish.
    pub fn open(root: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&root)?;
        for entry in fs::read_dir(&root)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(Self { root, naming: Arc::default() })
    }

    fn path(&self, name: &str) -> Result<PathBuf, Fault> {
        let path = Path::new(name);
        let plain = |part: Component<'_>| match part {
            Component::Normal(part) => !part.to_string_lossy().starts_with('.'),
            Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => false,
        };
        if name.is_empty() || name.contains(['\\', '\0']) || !path.components().all(plain) {
            return Err(Fault::new(FaultKind::Denied, "archive", format!("{name:?} is not a name")));
        }
        Ok(self.root.join(path))
    }

    /// `replaces`: whatever has the name.
    fn write_now(&self, path: &Path, bytes: &[u8], replaces: bool) -> io::Result<Written> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        if !replaces && path.try_exists()? {
            return Ok(Written::Existed);
        }
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder)?;
        let unfinished = self.root.join(format!("{UNFINISHED}{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        let mut file = File::create(&unfinished)?;
        file.write_all(bytes)?;
        // Whoever wrote this forgets its source next: it has to be on the disk before.
        file.sync_all()?;
        let naming = self.naming.lock().unwrap_or_else(PoisonError::into_inner);
        if !replaces && path.try_exists()? {
            fs::remove_file(&unfinished)?;
            return Ok(Written::Existed);
        }
        fs::rename(&unfinished, path)?;
        drop(naming);
        File::open(folder)?.sync_all()?;
        Ok(Written::New)
    }

    fn remove_now(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        // Folders that are empty now go, too; one that is not stays, which is no error.
        let mut folder = path.parent();
        while let Some(empty) = folder.filter(|folder| *folder != self.root) {
            if fs::remove_dir(empty).is_err() {
                break;
            }
            folder = empty.parent();
        }
        Ok(())
    }
}

#[async_trait]
impl Archive for Folder {
    async fn write(&self, name: &str, bytes: Bytes) -> Result<Written, Fault> {
        let path = self.path(name)?;
        let folder = self.clone();
        aside("archive.write", move || folder.write_now(&path, &bytes, false)).await
    }

    async fn replace(&self, name: &str, bytes: Option<Bytes>) -> Result<(), Fault> {
        let path = self.path(name)?;
        let folder = self.clone();
        aside("archive.replace", move || match bytes {
            Some(bytes) => folder.write_now(&path, &bytes, true).map(drop),
            None => folder.remove_now(&path),
        })
        .await
    }

    async fn read(&self, name: &str) -> Result<Option<Bytes>, Fault> {
        let path = self.path(name)?;
        aside("archive.read", move || match fs::read(path) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, Fault> {
        let root = self.root.clone();
        let wanted = Wanted { prefix: prefix.to_owned(), after: after.map(ToOwned::to_owned), limit };
        aside("archive.list", move || {
            let mut found = Vec::new();
            wanted.collect(&root, "", &mut found)?;
            Ok(found)
        })
        .await
    }
}

/// Files are slow: they get a thread that may wait.
async fn aside<T: Send + 'static>(
    operation: &'static str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Fault> {
    let done = tokio::task::spawn_blocking(work).await;
    let result = done.unwrap_or_else(|stopped| Err(io::Error::other(stopped)));
    result
        .map_err(|error| Fault::new(FaultKind::Unavailable, operation, error.to_string()).with_source(error))
}

struct Wanted {
    prefix: String,
    after: Option<String>,
    limit: usize,
}

impl Wanted {
    /// Walks in the order of whole names: a folder sorts as its name with the slash.
    fn collect(&self, folder: &Path, base: &str, found: &mut Vec<String>) -> io::Result<()> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
            let slash = if entry.file_type()?.is_dir() { "/" } else { "" };
            names.push(format!("{base}{name}{slash}"));
        }
        names.sort_unstable();
        for name in names {
            if found.len() >= self.limit {
                return Ok(());
            }
            let leads_there = name.starts_with(&self.prefix) || self.prefix.starts_with(&name);
            if !leads_there {
                continue;
            }
            if name.ends_with('/') {
                // All inside begins with this name: it is passed over where even the last of them is not after.
                let passed = |after: &String| after.as_str() > name.as_str() && !after.starts_with(&name);
                if !self.after.as_ref().is_some_and(passed) {
                    let inner = folder.join(name.strip_prefix(base).unwrap_or(&name));
                    self.collect(&inner, &name, found)?;
                }
            } else if name.starts_with(&self.prefix) && self.after.as_ref().is_none_or(|after| name > *after)
            {
                found.push(name);
            }
        }
        Ok(())
    }
}
