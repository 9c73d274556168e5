//! `cargo xtask zones FOLDER`: the table of time zones that the core carries, from the compiled zones of a package such as
//! `PyPI`'s `tzdata` (its folder `zoneinfo`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use crate::project::root;

/// Changes that no rule says are carried for so long: 2025-01-01 to 2041-01-01.
const CARRIED: std::ops::Range<i64> = 1_735_689_600..2_240_524_800;

const HEAD: &str = "\
# Time zones: a rule (POSIX's TZ), then the names that go by it. Where a zone's clock is changed otherwise for a while, the
# changes stand before the rule: @<seconds since 1970><seconds east of UTC>.
# Made by `cargo xtask zones`, of the public domain data of https://www.iana.org/time-zones.
";

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let [folder] = arguments else { bail!("which folder of compiled zones? `cargo xtask zones FOLDER`") };
    let mut rules: BTreeMap<String, Vec<String>> = BTreeMap::new();
    read(Path::new(folder), "", &mut rules)?;
    let mut table = HEAD.to_owned();
    let mut count = 0;
    for (rule, mut names) in rules {
        names.sort();
        count += names.len();
        writeln!(table, "{rule} {}", names.join(" "))?;
    }
    ensure!(count > 300, "only {count} zones: is it the right folder?");
    std::fs::write(root().join("core/src/domain/zones.txt"), table)?;
    println!("{count} zones");
    Ok(())
}

fn read(folder: &Path, prefix: &str, rules: &mut BTreeMap<String, Vec<String>>) -> Result<()> {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    entries.sort();
    for path in entries {
        let Some(file) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let name = format!("{prefix}{file}");
        if path.is_dir() {
            read(&path, &format!("{name}/"), rules)?;
            continue;
        }
        let bytes = std::fs::read(&path)?;
        // `Factory` is what a machine has that was never set up.
        if bytes.starts_with(b"TZif") && name != "Factory" {
            let rule = rule(&bytes).with_context(|| format!("{name} cannot be read"))?;
            rules.entry(rule).or_default().push(name);
        }
    }
    Ok(())
}

/// The footer of a compiled zone (RFC 9636), and before it the changes that are carried.
fn rule(bytes: &[u8]) -> Result<String> {
    let number = |at: usize| -> Result<usize> {
        let bytes = bytes.get(at..at + 4).context("too short")?;
        Ok(usize::try_from(u32::from_be_bytes(bytes.try_into()?))?)
    };
    // Counts of UTC marks, standard marks, leap seconds, times, types and letters.
    let counts = |at: usize| -> Result<[usize; 6]> {
        let mut counts = [0; 6];
        for (place, count) in counts.iter_mut().enumerate() {
            *count = number(at + 20 + place * 4)?;
        }
        Ok(counts)
    };
    let [utc, standard, leap, times, types, letters] = counts(0)?;
    let second = 44 + times * 5 + types * 6 + letters + leap * 8 + standard + utc;
    let [utc, standard, leap, times, types, letters] = counts(second)?;
    let at = second + 44;
    let (kinds, offsets) = (at + times * 8, at + times * 9);
    let footer = offsets + types * 6 + letters + leap * 12 + standard + utc;
    let footer = std::str::from_utf8(bytes.get(footer..).context("no footer")?)?.trim();
    ensure!(!footer.is_empty(), "its footer is empty");
    let mut rule = String::new();
    for place in 0..times {
        let moment = bytes.get(at + place * 8..at + place * 8 + 8).context("too short")?;
        let moment = i64::from_be_bytes(moment.try_into()?);
        let kind = usize::from(*bytes.get(kinds + place).context("too short")?);
        let offset = bytes.get(offsets + kind * 6..offsets + kind * 6 + 4).context("too short")?;
        if CARRIED.contains(&moment) {
            write!(rule, "@{moment}{:+}", i32::from_be_bytes(offset.try_into()?))?;
        }
    }
    Ok(rule + footer)
}
