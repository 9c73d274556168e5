//! The first start, and what is said at every start.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use gatelet_core::domain::Secret;
use gatelet_core::port::{Body, Expect, Ports};
use gatelet_core::{AdminKey, Gateway};

/// The document with the SHA-256 of the admin key that was made at the first start, in hexadecimal.
const DOCUMENT: &str = "server/admin-key";

/// The admin key, as far as it is known.
pub(super) enum Admin {
    /// From `GATELET_ADMIN_KEY`.
    Given(Secret),
    /// Made at this start: to be shown.
    New(Secret),
    /// Made at an earlier start.
    Known(AdminKey),
}

impl Admin {
    pub(super) fn key(&self) -> AdminKey {
        match self {
            Self::Given(secret) | Self::New(secret) => secret.clone().into(),
            Self::Known(key) => key.clone(),
        }
    }

    pub(super) fn is_new(&self) -> bool {
        match self {
            Self::New(_) => true,
            Self::Given(_) | Self::Known(_) => false,
        }
    }
}

pub(super) async fn admin_key(ports: &Ports) -> Result<Admin> {
    if let Ok(given) = std::env::var("GATELET_ADMIN_KEY") {
        let given = given.trim();
        ensure!(given.len() >= 16, "GATELET_ADMIN_KEY is too short: it takes at least 16 characters");
        return Ok(Admin::Given(Secret::new(given)));
    }
    if let Some(kept) = ports.store.get(DOCUMENT).await? {
        let hash = std::str::from_utf8(&kept.bytes).ok().and_then(from_hex);
        let hash = hash.context("what is kept of the admin key cannot be read: set GATELET_ADMIN_KEY")?;
        return Ok(Admin::Known(AdminKey::from_hash(hash)));
    }
    let mut chance = [0; 20];
    ports.chance.fill(&mut chance);
    let secret = Secret::new(format!("ga_{}", hex(&chance)));
    let hash = hex(&AdminKey::from(secret.clone()).hash());
    ports.store.put(DOCUMENT, hash.into(), Expect::Absent).await?;
    Ok(Admin::New(secret))
}

/// Makes the first virtual key, by the way that every other is made.
pub(super) async fn key(gateway: &Gateway, admin: &Admin) -> Result<String> {
    let (Admin::New(secret) | Admin::Given(secret)) = admin else { return Ok(String::new()) };
    let request = http::Request::post("/admin/v1/keys")
        .header("authorization", format!("Bearer {}", secret.expose()))
        .header("content-type", "application/json")
        .body(Body::Full(r#"{"alias":"first"}"#.into()))?;
    let Body::Full(bytes) = gateway.handle(request).await.into_body() else {
        anyhow::bail!("the first key could not be made");
    };
    let answer: serde_json::Value = serde_json::from_slice(&bytes)?;
    answer["key"].as_str().map(ToOwned::to_owned).context("the first key could not be made")
}

/// Tells whoever started it where it is and what to do first.
pub(super) fn greet(
    gateway: &Gateway,
    address: SocketAddr,
    data: &Path,
    admin: &Admin,
    first_key: Option<&str>,
) {
    let mut text = String::new();
    let _ = writeln!(text, "Gatelet {} on http://{address}\n", env!("CARGO_PKG_VERSION"));
    let _ = writeln!(text, "  data       {}", data.display());
    let _ = writeln!(text, "  models     {}", models(gateway));
    if let Admin::New(secret) = admin {
        let _ = writeln!(text, "  admin key  {}  (shown only now)", secret.expose());
    }
    if let Some(key) = first_key {
        let _ = writeln!(text, "  first key  {key}  (shown only now)");
    }
    let _ = writeln!(text, "\nTry it:\n");
    if first_key.is_none() {
        let _ = writeln!(text, "  export GATELET_KEY=gk_…   # a virtual key: gatelet keys create\n");
    }
    let _ = writeln!(
        text,
        r#"  curl -N http://{address}/v1/chat/completions -H "Authorization: Bearer {}" -H "Content-Type: application/json" -d '{{"model":"demo/echo","stream":true,"messages":[{{"role":"user","content":"Hello from the aeroplane"}}]}}'"#,
        first_key.unwrap_or("$GATELET_KEY")
    );
    // Where nobody reads it, it is not needed.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// The first few names that can be called, and how many more there are.
fn models(gateway: &Gateway) -> String {
    const SHOWN: usize = 6;
    let names = gateway.policy().names();
    let mut text = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        let _ = write!(text, " and {} more", names.len() - SHOWN);
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(place * 2..place * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}
