//! Providers' credentials: given, replaced, taken away, and never shown.

use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::audit::{self, Change, unmade};
use super::call::Call;
use super::documents::{invalid, unfit};
use super::{read, reply};
use crate::credential::{Drawer, Sealed};
use crate::domain::scope::is_id;
use crate::domain::{ScopeKind, Secret};
use crate::port::{Body, FaultKind};
use crate::refusal::Refusal;
use crate::sink;

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Creation {
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^[a-z0-9][a-z0-9._-]{0,63}$")))]
    id: String,
    /// As the configuration names it.
    provider: String,
    /// Whose requests it is for; none: everybody's.
    #[serde(default)]
    org: Option<String>,
    #[serde(default)]
    team: Option<String>,
    secret: String,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Replacement {
    secret: String,
}

const WHAT: &str = "credential";
/// How often a change is tried anew because somebody else was faster.
const TRIES: usize = 8;
/// Of one shard.
const MOST: usize = 200;

/// `POST /admin/v1/credentials`: a provider's credential, for a team's or an organisation's requests or for all.
pub(super) async fn create(call: &Call<'_>, body: Body) -> Result<Response<Body>, Refusal> {
    let Creation { id, provider, org, team, secret } = read(call.parts, body).await?;
    if !is_id(&id) {
        return Err(invalid("id", ScopeKind::Team.expected()));
    }
    let of = match (org, team) {
        (None, None) => None,
        (Some(org), None) => Some((ScopeKind::Organisation, org)),
        (None, Some(team)) => Some((ScopeKind::Team, team)),
        (Some(_), Some(_)) => return Err(unfit("org", "expected `org` or `team`, not both")),
    };
    if let Some((kind, id)) = &of
        && !is_id(id)
    {
        return Err(unfit(kind.name(), kind.expected()));
    }
    let of = of.map(|(kind, id)| kind.account(&id).as_str().to_owned());
    let secret = judged(call, &provider, secret)?;
    let credential = Sealed::new(id, provider, of, call.now);
    let add = |drawer: &mut Drawer| {
        let same = |known: &Sealed| known.provider == credential.provider && known.of == credential.of;
        if drawer.credentials.iter().any(|known| known.id == credential.id || same(known)) {
            return Err(Refusal::Exists { what: WHAT });
        }
        if drawer.credentials.len() >= MOST {
            return Err(unfit("id", format!("expected at most {MOST} credentials")));
        }
        drawer.credentials.push(credential.clone());
        Ok(())
    };
    let changed =
        change(call, &credential.id, Some(&secret), &add).await?.ok_or(Refusal::NotFound { what: WHAT })?;
    Ok(reply(StatusCode::CREATED, &view(&changed)))
}

/// `GET /admin/v1/credentials`: all, without their secrets.
pub(super) async fn list(call: &Call<'_>) -> Result<Response<Body>, Refusal> {
    let drawer = Drawer::read(&call.core.ports, &call.shard()?).await?;
    let all: Vec<Value> = drawer.credentials.iter().map(view).collect();
    Ok(reply(StatusCode::OK, &json!({ "credentials": all })))
}

/// `GET /admin/v1/credentials/{id}`.
pub(super) async fn show(call: &Call<'_>, id: &str) -> Result<Response<Body>, Refusal> {
    let drawer = Drawer::read(&call.core.ports, &call.shard()?).await?;
    let found = drawer.credentials.iter().find(|known| known.id == id);
    Ok(reply(StatusCode::OK, &view(found.ok_or(Refusal::NotFound { what: WHAT })?)))
}

/// `PUT /admin/v1/credentials/{id}`: another secret in its place. The old one is used for ten seconds more at the most.
pub(super) async fn replace(call: &Call<'_>, id: &str, body: Body) -> Result<Response<Body>, Refusal> {
    let Replacement { secret } = read(call.parts, body).await?;
    let drawer = Drawer::read(&call.core.ports, &call.shard()?).await?;
    let provider = drawer.credentials.into_iter().find(|known| known.id == id).map(|known| known.provider);
    let secret = judged(call, &provider.ok_or(Refusal::NotFound { what: WHAT })?, secret)?;
    let changed = change(call, id, Some(&secret), &|_| Ok(())).await?;
    Ok(reply(StatusCode::OK, &view(&changed.ok_or(Refusal::NotFound { what: WHAT })?)))
}

/// `DELETE /admin/v1/credentials/{id}`: what is left is the policy's own.
pub(super) async fn delete(call: &Call<'_>, id: &str) -> Result<Response<Body>, Refusal> {
    let take = |drawer: &mut Drawer| {
        let before = drawer.credentials.len();
        drawer.credentials.retain(|known| known.id != id);
        if drawer.credentials.len() == before { Err(Refusal::NotFound { what: WHAT }) } else { Ok(()) }
    };
    change(call, id, None, &take).await?;
    Ok(reply(StatusCode::OK, &json!({ "id": id, "deleted": true })))
}

/// `POST /admin/v1/reseal`: seals all with the newest sealing key, so that older ones can be taken away.
pub(super) async fn reseal(call: &Call<'_>) -> Result<Response<Body>, Refusal> {
    let (ports, keys, shard) = (&call.core.ports, &call.core.settings.sealing, call.shard()?);
    let Some((newest, _)) = keys.newest() else { return Err(no_key()) };
    let drawer = Drawer::read(ports, &shard).await?;
    let mut count = 0;
    for old in drawer.credentials.iter().filter(|sealed| sealed.sealing_key != newest) {
        let secret = old.open(ports, keys, &shard).await?;
        change(call, &old.id, Some(&secret), &|_| Ok(())).await?;
        count += 1;
    }
    Ok(reply(StatusCode::OK, &json!({ "resealed": count, "sealing_key": newest })))
}

/// Changes one: `edit` the list, then its secret, if there is one. Who does it is written down before.
async fn change(
    call: &Call<'_>,
    id: &str,
    secret: Option<&Secret>,
    edit: &(dyn Fn(&mut Drawer) -> Result<(), Refusal> + Send + Sync),
) -> Result<Option<Sealed>, Refusal> {
    let (ports, keys, shard) = (&call.core.ports, &call.core.settings.sealing, call.shard()?);
    for _ in 0..TRIES {
        let mut drawer = Drawer::read(ports, &shard).await?;
        let before = drawer.credentials.iter().find(|known| known.id == id).map(view);
        edit(&mut drawer)?;
        let mut after = None;
        if let Some(credential) = drawer.credentials.iter_mut().find(|known| known.id == id) {
            if let Some(secret) = secret {
                credential.seal(ports, keys, &shard, secret).await?;
                credential.version += 1;
                credential.updated = call.now;
            }
            after = Some(credential.clone());
        }
        let of = format!("credential/{id}");
        let shown = after.as_ref().map(|credential| {
            let mut shown = view(credential);
            // Its hash, as the audit shows secrets.
            shown["secret"] = secret.map_or(Value::Null, |secret| secret.expose().into());
            shown
        });
        let version = after.as_ref().map_or(0, |credential| credential.version);
        let entry = audit::change(call, Change { of: &of, version, before, after: shown });
        audit::keep(call.core, &shard, entry.clone(), call.now).await?;
        let kept = drawer.keep(ports, &shard).await;
        call.core.credentials.forget();
        match kept {
            Ok(()) => return Ok(after),
            Err(fault) if fault.kind == FaultKind::Conflict => {
                unmade(call, &shard, &entry, "somebody else was faster").await;
            }
            Err(fault) => {
                unmade(call, &shard, &entry, "it could not be written").await;
                return Err(fault.into());
            }
        }
    }
    Err(Refusal::Conflict { expected: None, current: None })
}

/// A secret that its provider can be shown.
fn judged(call: &Call<'_>, provider: &str, secret: String) -> Result<Secret, Refusal> {
    const LONGEST: usize = 16 << 10;
    if call.core.settings.sealing.newest().is_none() {
        return Err(no_key());
    }
    if secret.is_empty() || secret.len() > LONGEST {
        return Err(unfit("secret", "expected 1 byte to 16 KiB"));
    }
    let secret = Secret::new(secret);
    let policy = call.core.policy();
    if let Some(name) = provider.strip_prefix(sink::CREDENTIAL) {
        let known = policy.sinks().iter().any(|sink| *sink.name == *name);
        let none = || {
            unfit("provider", format!("this gateway's configuration has no sink `{}`", name.escape_debug()))
        };
        return known.then_some(secret).ok_or_else(none);
    }
    let known = policy.provider(provider).ok_or_else(|| {
        unfit(
            "provider",
            format!("this gateway's configuration has no provider `{}`", provider.escape_debug()),
        )
    })?;
    known.with(&secret, "").map_err(|problem| unfit("secret", problem.to_string()))?;
    Ok(secret)
}

fn no_key() -> Refusal {
    unfit("secret", "this gateway has no sealing key: set GATELET_SEALING_KEY")
}

fn view(credential: &Sealed) -> Value {
    let Sealed { id, provider, of, hint, sealing_key, created, updated, version, .. } = credential;
    json!({ "id": id, "provider": provider, "of": of, "hint": hint, "sealing_key": sealing_key,
        "created": created.to_string(), "updated": updated.to_string(), "version": version })
}
