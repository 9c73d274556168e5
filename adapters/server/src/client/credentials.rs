//! `gatelet credentials`: what the gateway shows to providers. Secrets are read from standard input: arguments can be seen.

use std::io::BufRead as _;

use anyhow::Result;
use gatelet_core::domain::scope::is_id;
use http::Method;
use serde_json::{Value, json};

use super::show::{table, word};
use super::{Admin, WrongUsage, print};
use crate::cli::{Credentials, Remote};

const ALL: &str = "/admin/v1/credentials";

pub fn credentials(remote: &Remote, command: Credentials) -> Result<()> {
    let admin = Admin::of(remote)?;
    let one = |id: &str| {
        if is_id(id) { Ok(format!("{ALL}/{id}")) } else { Err(WrongUsage(format!("{id:?} is no id"))) }
    };
    match command {
        Credentials::Give { id, provider, team, org } => {
            let mut wish = json!({ "id": id, "provider": provider, "secret": secret()? });
            for (name, value) in [("team", team), ("org", org)] {
                if let Some(value) = value {
                    wish[name] = value.into();
                }
            }
            print(remote, &admin.call(Method::POST, ALL, Some(wish))?, shown)
        }
        Credentials::List => print(remote, &admin.call(Method::GET, ALL, None)?, |all| {
            rows(all["credentials"].as_array().map(Vec::as_slice).unwrap_or_default())
        }),
        Credentials::Replace { id } => {
            let wish = json!({ "secret": secret()? });
            print(remote, &admin.call(Method::PUT, &one(&id)?, Some(wish))?, shown)
        }
        Credentials::Delete { id } => print(remote, &admin.call(Method::DELETE, &one(&id)?, None)?, |gone| {
            format!("{} is gone", word(&gone["id"]))
        }),
        Credentials::Reseal => print(remote, &admin.call(Method::POST, "/admin/v1/reseal", None)?, |done| {
            format!("{} sealed anew with the key {}", done["resealed"], word(&done["sealing_key"]))
        }),
    }
}

fn secret() -> Result<String> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let secret = line.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(
            WrongUsage("the secret is read from standard input, and nothing was there".to_owned()).into()
        );
    }
    Ok(secret.to_owned())
}

fn shown(credential: &Value) -> String {
    rows(std::slice::from_ref(credential))
}

fn rows(credentials: &[Value]) -> String {
    let title =
        ["ID", "PROVIDER", "OF", "ENDS WITH", "SEALED WITH", "UPDATED"].map(ToOwned::to_owned).to_vec();
    let row = |credential: &Value| {
        ["id", "provider", "of", "hint", "sealing_key", "updated"]
            .map(|name| word(&credential[name]))
            .to_vec()
    };
    table(&std::iter::once(title).chain(credentials.iter().map(row)).collect::<Vec<_>>())
}
