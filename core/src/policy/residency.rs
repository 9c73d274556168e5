//! `residency`: who is pinned to which regions and providers.

use gatelet_wire::DialectId;

use super::read::{At, Reader, Spot};
use super::{Policy, Provider};
use crate::domain::{Key, Residency, Scope};

/// Those whom an admin pins, and to what. Without any list of whom, everybody.
#[derive(Clone, Debug, Default)]
pub struct Pin {
    pub orgs: Vec<String>,
    pub teams: Vec<String>,
    pub projects: Vec<String>,
    pub users: Vec<String>,
    /// By id or alias.
    pub keys: Vec<String>,
    pub residency: Residency,
}

impl Pin {
    pub fn is_of(&self, key: &Key) -> bool {
        let has = |list: &[String], id: Option<&str>| id.is_some_and(|id| list.iter().any(|name| name == id));
        let lists = [&self.orgs, &self.teams, &self.projects, &self.users, &self.keys];
        lists.iter().all(|list| list.is_empty())
            || has(&self.orgs, Some(key.org.as_deref().unwrap_or(Scope::DEFAULT_ORG)))
            || has(&self.teams, key.team.as_deref())
            || has(&self.projects, key.project.as_deref())
            || has(&self.users, key.user.as_deref())
            || has(&self.keys, Some(&key.id))
            || has(&self.keys, key.alias.as_deref())
    }
}

pub(super) const PIN: [&str; 7] = ["orgs", "teams", "projects", "users", "keys", "regions", "providers"];

/// The section, with the places of what can be wrong with it once all targets are known.
pub(super) fn residency(reader: &mut Reader<'_>, at: &At<'_>) -> Vec<(Pin, Spot)> {
    const MOST: usize = 256;
    let list = at.list();
    if list.len() > MOST {
        reader.note(&at.spot, format!("expected at most {MOST} pins"));
    }
    list.iter().filter_map(|at| Some((pin(reader, at)?, at.spot.clone()))).collect()
}

fn pin(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Pin> {
    let fields = reader.fields(at, &PIN, &[])?;
    let mut names = |key| -> Option<Vec<String>> {
        let list = fields.get(key)?.list();
        Some(list.iter().filter_map(|at| reader.text(at, "a name")).collect())
    };
    let mut of = |key| names(key).unwrap_or_default();
    let (orgs, teams, projects) = (of("orgs"), of("teams"), of("projects"));
    let (users, keys) = (of("users"), of("keys"));
    let residency = Residency { regions: names("regions"), providers: names("providers") };
    if !residency.is_sound() {
        reader.note(&at.spot, "expected `regions` or `providers`, each with 1 to 64 names");
        return None;
    }
    Some(Pin { orgs, teams, projects, users, keys, residency })
}

/// Where something is that keeps what it hears: a place of which nobody says that is outside of any pin.
pub(super) fn region(reader: &mut Reader<'_>, at: Option<&At<'_>>) -> Option<Box<str>> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let named = |text: &str| (1..=64).contains(&text.len()) && text.chars().all(plain);
    let read = |text: &str| named(text).then(|| text.into());
    at.and_then(|at| reader.parsed(at, "the name of a region, such as eu-west-1", read))
}

/// Reads `responses`: where answers lie that callers go on from.
pub(super) fn responses(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Box<str>> {
    let fields = reader.fields(at, &["region"], &[])?;
    region(reader, fields.get("region"))
}

/// Notes pins to what no target has: a request could only be refused.
pub(super) fn check(reader: &mut Reader<'_>, policy: &Policy, pins: &[(Pin, Spot)]) {
    let own = policy.models.values().flat_map(|model| &model.targets);
    let own = own.map(|target| (&target.provider, target.region.as_deref()));
    let wild = policy.wildcards.iter().flat_map(|wildcard| &wildcard.targets);
    let wild = wild.map(|target| (&target.provider, target.region.as_deref()));
    let places: Vec<(&str, Option<&str>)> = own
        .chain(wild)
        .map(|(provider, region)| (&*provider.id, region.or(provider.region.as_deref())))
        .collect();
    for (Pin { residency, .. }, spot) in pins {
        let mut sound = true;
        for pin in residency.regions.iter().flatten() {
            let known = places.iter().filter_map(|(_, region)| *region);
            if !known.clone().any(|region| Residency::covers(pin, region)) {
                let mut known: Vec<&str> = known.collect();
                gatelet_wire::sort::sort_by(&mut known, Ord::cmp);
                known.dedup();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                reader.note(
                    spot,
                    format!("no target is in the region `{pin}`: regions of targets are {known}"),
                );
                sound = false;
            }
        }
        for pin in residency.providers.iter().flatten() {
            if !places.iter().any(|(provider, _)| provider == pin) {
                reader.note(spot, format!("no target is of the provider `{pin}`"));
                sound = false;
            }
        }
        if sound && !places.iter().any(|(provider, region)| residency.allows(provider, *region)) {
            reader.note(spot, "no target is of these providers and in these regions");
        }
    }
}

/// Where a provider's model is run, as far as its name says so. Bedrock's profiles run wherever their geography has room, so
/// that the region which is called is not where it ends.
pub(super) fn region_of(provider: &Provider, model: &str) -> Option<Box<str>> {
    const GEOGRAPHIES: [&str; 8] = ["us-gov", "us", "eu", "apac", "jp", "au", "ca", "global"];
    let named = model.rsplit('/').next().unwrap_or(model).split_once('.').map(|(first, _)| first);
    let profile = named.filter(|first| GEOGRAPHIES.contains(first));
    let profile = profile.filter(|_| provider.dialect == DialectId::Bedrock);
    profile.map(Into::into).or_else(|| provider.region.clone())
}
