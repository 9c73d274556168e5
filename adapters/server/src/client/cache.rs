//! Answers that a gateway keeps to give them again.

use anyhow::Result;
use http::Method;
use serde_json::{Map, Value};

use super::{Admin, print};
use crate::cli::{Cache, Remote};

pub fn cache(remote: &Remote, command: &Cache) -> Result<()> {
    let Cache::Purge { what } = command;
    let mut wish = Map::new();
    for (name, value) in [("key", &what.key), ("tag", &what.tag), ("model", &what.model)] {
        wish.extend(value.clone().map(|value| (name.to_owned(), Value::String(value))));
    }
    if what.all {
        wish.insert("all".to_owned(), true.into());
    }
    let answer = Admin::of(remote)?.call(Method::POST, "/admin/v1/cache/purge", Some(wish.into()))?;
    print(remote, &answer, |answer| format!("purged: {}", answer["purged"].as_str().unwrap_or_default()))
}
