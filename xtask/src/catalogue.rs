//! `cargo xtask catalogue [--check]`: models and prices from the packages that publish them, compared with
//! `core/registry/models` and written there.
//!
//! Both packages come through their registries' own clients, at the versions below, into `.tools/catalogue`. What is
//! written depends on them and on `core/registry/*.toml` alone.

mod litellm;
mod literal;
mod models_dev;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use gatelet_catalogue::{Entry, text};

use crate::project::{program, root, run as finish};
use source::Names;

/// <https://pypi.org/project/litellm>, MIT.
const LITELLM: &str = "1.109.1";
/// <https://www.npmjs.com/package/opencode-linux-x64> carries a snapshot of <https://models.dev>, MIT.
const SNAPSHOT: &str = "opencode-linux-x64@1.18.33";
/// Changes that are printed one by one; the rest is counted.
const SHOWN: usize = 200;

/// Each provider's models by id.
type Catalogue = BTreeMap<String, BTreeMap<String, Entry>>;

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let check = match arguments {
        [] => false,
        [word] if word == "--check" => true,
        _ => bail!("expected nothing, or --check"),
    };
    let folder = root().join(".tools/catalogue");
    fs::create_dir_all(&folder)?;
    let names = Names::read(&root().join("core/registry"))?;
    let prices = litellm::read(&litellm_file(&folder)?, &names)?;
    let snapshot = models_dev::read(&snapshot_file(&folder)?, &names)?;
    let fresh = merged(prices, snapshot);
    let models = root().join("core/registry/models");
    let standing = standing(&models)?;
    let changed = compare(&standing, &fresh);
    if check {
        if changed > 0 {
            bail!("core/registry/models differs from its sources in {changed} models");
        }
        return Ok(());
    }
    for (provider, entries) in &fresh {
        let lines: String = entries.values().map(|entry| text::line(entry) + "\n").collect();
        fs::write(models.join(format!("{provider}.models")), lines)?;
    }
    for gone in standing.keys().filter(|provider| !fresh.contains_key(*provider)) {
        fs::remove_file(models.join(format!("{gone}.models")))?;
    }
    println!("written; `models/as-of` and `NOTICE` say the day and the versions, and are changed by hand");
    Ok(())
}

/// Where both know a model, litellm's sizes and prices stand; what either says that it can do, it can.
fn merged(mut prices: Catalogue, snapshot: Catalogue) -> Catalogue {
    for (provider, entries) in snapshot {
        let known = prices.entry(provider).or_default();
        for (id, other) in entries {
            // They do not agree on capitals.
            let same = known.keys().find(|known| known.eq_ignore_ascii_case(&id)).cloned();
            match same.and_then(|id| known.get_mut(&id)) {
                None => drop(known.insert(id, other)),
                Some(entry) => source::join(entry, other),
            }
        }
    }
    litellm::regions(&mut prices);
    prices
}

fn standing(folder: &Path) -> Result<Catalogue> {
    let mut standing = Catalogue::new();
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        if path.extension().is_none_or(|extension| extension != "models") {
            continue;
        }
        let provider = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        // What is not from these sources is left alone.
        if provider == "demo" {
            continue;
        }
        let entries = text::read(&fs::read_to_string(&path)?);
        let entries = entries.map_err(|problems| anyhow::anyhow!("{}: {problems:?}", path.display()))?;
        standing.insert(provider, entries.into_iter().map(|entry| (entry.id.clone(), entry)).collect());
    }
    Ok(standing)
}

/// Prints what differs; answers how many models do.
fn compare(standing: &Catalogue, fresh: &Catalogue) -> usize {
    let (mut added, mut removed, mut priced, mut other) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let nothing = BTreeMap::new();
    let providers: BTreeSet<&String> = standing.keys().chain(fresh.keys()).collect();
    for provider in providers {
        let old = standing.get(provider).unwrap_or(&nothing);
        let new = fresh.get(provider).unwrap_or(&nothing);
        let ids: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for id in ids {
            match (old.get(id), new.get(id)) {
                (None, Some(_)) => added.push(format!("+ {provider}/{id}")),
                (Some(_), None) => removed.push(format!("- {provider}/{id}")),
                (Some(old), Some(new)) if old.prices != new.prices => {
                    priced.push(format!(
                        "  {provider}/{}\n  {provider}/{}",
                        text::line(old),
                        text::line(new)
                    ));
                }
                (Some(old), Some(new)) if old != new => {
                    other.push(format!("  {provider}/{}\n  {provider}/{}", text::line(old), text::line(new)));
                }
                _ => {}
            }
        }
    }
    let mut changed = 0;
    for (what, list) in
        [("added", added), ("removed", removed), ("priced otherwise", priced), ("otherwise", other)]
    {
        println!("{} {what}", list.len());
        for line in list.iter().take(SHOWN) {
            println!("{line}");
        }
        changed += list.len();
    }
    changed
}

/// The price list out of litellm's wheel, which is a zip.
fn litellm_file(folder: &Path) -> Result<PathBuf> {
    let file = folder.join(format!("litellm-{LITELLM}.json"));
    if !file.is_file() {
        let wheel = format!("litellm=={LITELLM}");
        finish(
            program("python3")
                .args(["-m", "pip", "download", "--quiet", "--no-deps", "--dest"])
                .arg(folder)
                .arg(wheel),
        )
        .context("pip download")?;
        let wheel = downloaded(folder, "litellm-", ".whl")?;
        let read = "import sys,zipfile;sys.stdout.buffer.write(zipfile.ZipFile(sys.argv[1]).read('litellm/model_prices_and_context_window_backup.json'))";
        let output = program("python3").args(["-c", read]).arg(&wheel).output()?;
        if !output.status.success() {
            bail!("{} has no price list", wheel.display());
        }
        fs::write(&file, output.stdout)?;
        fs::remove_file(wheel)?;
    }
    Ok(file)
}

/// The snapshot's part of the program that carries it.
fn snapshot_file(folder: &Path) -> Result<PathBuf> {
    let file = folder.join(format!("{SNAPSHOT}.js"));
    if !file.is_file() {
        finish(program("npm").args(["pack", "--silent", SNAPSHOT]).current_dir(folder))
            .context("npm pack")?;
        let archive = downloaded(folder, "opencode-linux-x64-", ".tgz")?;
        finish(program("tar").arg("-xzf").arg(&archive).arg("-C").arg(folder)).context("tar")?;
        let program = folder.join("package/bin/opencode");
        fs::write(&file, models_dev::cut(&fs::read(&program)?)?)?;
        fs::remove_file(archive)?;
        fs::remove_dir_all(folder.join("package"))?;
    }
    Ok(file)
}

fn downloaded(folder: &Path, start: &str, end: &str) -> Result<PathBuf> {
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with(start) && name.ends_with(end) {
            return Ok(path);
        }
    }
    bail!("nothing was downloaded that is called {start}…{end}")
}
