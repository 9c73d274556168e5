//! The archive of a running gateway, line by line.

use std::io::Read as _;

use anyhow::{Context as _, Result};
use flate2::read::MultiGzDecoder;
use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::{Admin, fetch, read};
use crate::cli::Remote;

/// Looks at every line of the objects whose names begin with `prefix`, in the order of their names. `wants`: whether to look into one.
pub fn each_line(
    remote: &Remote,
    prefix: &str,
    wants: &dyn Fn(&str) -> bool,
    look: &mut dyn FnMut(&str, &str) -> Result<()>,
) -> Result<()> {
    let admin = Admin::of(remote)?;
    let prefix = utf8_percent_encode(prefix, NON_ALPHANUMERIC);
    let mut after = String::new();
    loop {
        let path = format!("/admin/v1/archive?prefix={prefix}&limit=1000{after}");
        let page = read(remote, &fetch(remote, admin.key, Method::GET, &path, None)?)?;
        for name in page["names"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !wants(name) {
                continue;
            }
            let packed = fetch(remote, admin.key, Method::GET, &format!("/admin/v1/archive/{name}"), None)?;
            let mut text = String::new();
            let unpacked = MultiGzDecoder::new(&*packed).read_to_string(&mut text);
            unpacked.with_context(|| format!("{name} is not gzip"))?;
            for line in text.lines() {
                look(name, line).with_context(|| name.to_owned())?;
            }
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={}", utf8_percent_encode(next, NON_ALPHANUMERIC)),
            None => return Ok(()),
        }
    }
}

/// The shard that an object is of, by its name: `…/<shard>-<first>-<last>-<digest>.ndjson.gz`.
pub fn shard_of(name: &str) -> &str {
    let file = name.rsplit('/').next().unwrap_or_default();
    file.rsplitn(4, '-').nth(3).unwrap_or_default()
}
