//! Features that Anthropic's callers ask for by name in a header, and that other vendors of the same models take under
//! other names, in the body, or not at all.

use gatelet_wire::{DialectId, Draft, Json, Loss};
use http::HeaderValue;

use super::receive::Received;
use crate::policy::Target;

const HEADER: &str = "anthropic-beta";
const FIELD: &str = "anthropic_beta";

/// A header of the caller's dialect as it goes on to `target`; none where it does not.
pub(super) fn passed(target: &Target, name: &str, value: &HeaderValue) -> Option<HeaderValue> {
    let Some(betas) = target.provider.quirks.betas.as_ref().filter(|_| name == HEADER) else {
        return Some(value.clone());
    };
    let sent: Vec<&str> =
        names(value).filter_map(|name| betas.sent(name)).filter(|_| !betas.in_body).collect();
    HeaderValue::from_str(&sent.join(",")).ok().filter(|value| !value.is_empty())
}

/// Writes into a request what of the caller's header belongs there, and notes what nobody will do.
pub(super) fn write(received: &Received<'_>, target: &Target, draft: &mut Draft<'_>, loss: &mut Loss) {
    let Some(betas) = &target.provider.quirks.betas else { return };
    if received.arrived.dialect != DialectId::Anthropic {
        return;
    }
    let own = draft.get(FIELD).and_then(|raw| gatelet_wire::json::from_str::<Vec<String>>(raw.get()).ok());
    let mut sent = own.unwrap_or_default();
    for name in received.arrived.headers.get_all(HEADER).iter().flat_map(names) {
        match betas.sent(name) {
            Some(beta) if sent.iter().any(|there| there == beta) => {}
            Some(beta) => sent.push(beta.to_owned()),
            None => loss.note(format!("{HEADER}.{name}")),
        }
    }
    if betas.in_body && !sent.is_empty() {
        draft.set(FIELD, Json::of(&sent));
    }
}

fn names(value: &HeaderValue) -> impl Iterator<Item = &str> {
    value.to_str().unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty())
}
