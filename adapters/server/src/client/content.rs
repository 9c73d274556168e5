//! `gatelet content`: what requests said and were answered.

use anyhow::Result;
use http::Method;
use serde_json::{Value, json};

use super::show::{table, word};
use super::{Admin, print};
use crate::cli::{Content, Remote};

pub fn content(remote: &Remote, command: &Content) -> Result<()> {
    let admin = Admin::of(remote)?;
    match command {
        Content::Erase { of } => {
            let asked = admin.call(Method::POST, "/admin/v1/erasures", Some(json!({ "of": of })))?;
            print(remote, &asked, |asked| {
                format!(
                    "{}: what is of {} until {} is being deleted",
                    asked["id"].as_str().unwrap_or_default(),
                    asked["of"].as_str().unwrap_or_default(),
                    asked["until"].as_str().unwrap_or_default()
                )
            })
        }
        Content::Erasures => {
            let all = admin.call(Method::GET, "/admin/v1/erasures", None)?;
            print(remote, &all, |all| rows(all["erasures"].as_array().map_or(&[], Vec::as_slice)))
        }
    }
}

fn rows(all: &[Value]) -> String {
    const COLUMNS: [&str; 4] = ["id", "of", "until", "done"];
    let names = COLUMNS.map(str::to_owned).to_vec();
    let rows = all.iter().map(|one| COLUMNS.iter().map(|name| word(&one[*name])).collect());
    table(&std::iter::once(names).chain(rows).collect::<Vec<Vec<String>>>())
}
