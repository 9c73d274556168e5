//! `gatelet import`: another gateway's configuration, as one of ours.

mod litellm;

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use gatelet_core::policy::{Host, Policy};

use crate::registry;

/// What became of a configuration.
struct Imported {
    /// A document that `gatelet check` finds sound.
    document: String,
    /// What it does not carry: where it stands, and what to do about it.
    left: Vec<Left>,
    /// The environment variables that it names, each with a value of the form that is expected of it.
    variables: Vec<(String, String)>,
}

/// Something that a configuration says and ours does not.
#[derive(Debug)]
struct Left {
    place: String,
    advice: String,
}

/// Converts a configuration of LiteLLM's proxy. Ours goes to `output`, or else to standard output; what it does not carry
/// is told on standard error, and as comments at its head. `strict`: that there is any is a failure.
pub fn litellm(file: &Path, output: Option<&Path>, strict: bool) -> Result<()> {
    let imported = litellm::convert(file, &registry::standing())?;
    let text = headed(file, &imported);
    check(&text, &imported.variables).context("what was made of it is not sound")?;
    for Left { place, advice } in &imported.left {
        writeln!(std::io::stderr(), "not carried: {place}: {advice}")?;
    }
    match output {
        Some(path) => {
            let mut made = std::fs::File::create_new(path).with_context(|| path.display().to_string())?;
            made.write_all(text.as_bytes())?;
        }
        None => std::io::stdout().write_all(text.as_bytes())?,
    }
    if strict && !imported.left.is_empty() {
        bail!("{} settings are not carried", imported.left.len());
    }
    Ok(())
}

fn headed(file: &Path, imported: &Imported) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let mut text = format!("# Imported from {name:?}.\n");
    if !imported.left.is_empty() {
        text.push_str("# Not carried:\n");
        for Left { place, advice } in &imported.left {
            // One line each, whatever stands in a name.
            let line = format!("#   {place}: {advice}").replace(char::is_control, " ");
            text.push_str(&line);
            text.push('\n');
        }
    }
    text + &imported.document
}

/// What we have written is read as it will be, whether or not the variables are set here.
fn check(text: &str, variables: &[(String, String)]) -> Result<()> {
    let variable = |name: &str| {
        let known = variables.iter().find(|(known, _)| known == name);
        std::env::var(name).ok().or_else(|| known.map(|(_, value)| value.clone()))
    };
    let host = Host { variable: &variable, ollama: false, registry: registry::standing() };
    Policy::read("the imported document", text, &host)?;
    Ok(())
}
