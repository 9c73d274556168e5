//! `gatelet prompts`: what requests may name in place of saying it.

use std::path::Path;

use anyhow::{Context as _, Result};
use gatelet_core::domain::scope::is_id;
use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::show::{list, table, word};
use super::{Admin, WrongUsage, print};
use crate::cli::{Prompts, Remote};

pub fn prompts(remote: &Remote, org: Option<&str>, command: Prompts) -> Result<()> {
    let admin = Admin::of(remote)?;
    let named = |id: &str| if is_id(id) { Ok(()) } else { Err(WrongUsage(format!("{id:?} is no id"))) };
    let escaped = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let org = org.map(|org| format!("org={}", escaped(org))).unwrap_or_default();
    let one = |id: &str| {
        named(id)?;
        Ok::<_, WrongUsage>(format!("/admin/v1/prompts/{id}?{org}"))
    };
    match command {
        Prompts::Create { id, file } => {
            named(&id)?;
            let mut prompt = read(&file)?;
            prompt.insert("id".to_owned(), id.into());
            let path = format!("/admin/v1/prompts?{org}");
            print(remote, &admin.call(Method::POST, &path, Some(prompt.into()))?, shown)
        }
        Prompts::List => {
            let all = admin.all_of("prompts", &format!("&{org}"))?;
            print(remote, &all, |all| rows(all["prompts"].as_array().map(Vec::as_slice).unwrap_or_default()))
        }
        Prompts::Show { id, version } => {
            let version =
                version.map(|version| format!("&version={}", escaped(&version))).unwrap_or_default();
            let path = [one(&id)?, version].concat();
            print(remote, &admin.call(Method::GET, &path, None)?, |prompt| format!("{prompt:#}"))
        }
        Prompts::Update { id, file, if_version } => {
            let patch = Some(read(&file)?.into());
            print(remote, &admin.call_if(Method::PATCH, &one(&id)?, patch, if_version)?, shown)
        }
        Prompts::Label { id, label, version } => {
            let patch = Some(json!({ "labels": { label: version } }));
            print(remote, &admin.call(Method::PATCH, &one(&id)?, patch)?, shown)
        }
        Prompts::Delete { id } => print(remote, &admin.call(Method::DELETE, &one(&id)?, None)?, |gone| {
            format!("{} is gone", word(&gone["id"]))
        }),
    }
}

fn read(file: &Path) -> Result<Map<String, Value>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no JSON object", file.display()))
}

fn shown(prompt: &Value) -> String {
    rows(std::slice::from_ref(prompt))
}

fn rows(prompts: &[Value]) -> String {
    let title = ["ID", "NEWEST", "LABELS", "UPDATED"].map(ToOwned::to_owned).to_vec();
    let row = |prompt: &Value| {
        let labels = prompt["labels"].as_object().into_iter().flatten();
        let labels: Vec<Value> = labels.map(|(label, version)| json!(format!("{label}={version}"))).collect();
        vec![word(&prompt["id"]), word(&prompt["version"]), list(&json!(labels)), word(&prompt["updated"])]
    };
    table(&std::iter::once(title).chain(prompts.iter().map(row)).collect::<Vec<_>>())
}
