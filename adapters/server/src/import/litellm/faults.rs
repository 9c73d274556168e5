//! What LiteLLM's router does about faults, by their kinds: how often it asks again, and when a deployment is left alone.

use serde_json::{Value, json};

use super::{Conversion, Fields, duration, taken_map};

/// More than this nobody is asked again here.
const MOST_RETRIES: u64 = 10;
/// More faults in a row than this put a target out in any case.
const MOST_FAULTS: u64 = 1_000;

const A_DAY: f64 = 86_400.0;

/// Kinds of faults there, and the retries that they are here. Several there may be one here: the most counts.
const RETRIES: [(&str, &str); 5] = [
    ("RateLimitErrorRetries", "rate_limit"),
    ("TimeoutErrorRetries", "timeout"),
    ("InternalServerErrorRetries", "provider"),
    ("ServiceUnavailableErrorRetries", "provider"),
    ("BadGatewayErrorRetries", "provider"),
];
/// Faults that count against a target here.
const FAILS: [&str; 4] = [
    "InternalServerErrorAllowedFails",
    "ServiceUnavailableErrorAllowedFails",
    "BadGatewayErrorAllowedFails",
    "TimeoutErrorAllowedFails",
];
/// What is never asked again here, however often that is wanted.
const HOPELESS: &str = "what is wrong with a request or its credential is not asked again of the same target";
/// When a target is left alone is one number here.
const ONE_NUMBER: &str = "faults of the provider and silences count alike, and the smallest number holds; a rate limit puts a target \
                          out at once, a refused credential at the second time, and what the caller did wrong never";

impl Conversion<'_> {
    /// `retry_policy`, for all models, and `model_group_retry_policy` in its place for some.
    pub(super) fn retry_by_fault(&mut self, router: &mut Fields) {
        let general = self.policy("retry_policy", taken_map(router, "retry_policy"));
        let mut own = Fields::new();
        for (name, policy) in taken_map(router, "model_group_retry_policy") {
            let place = format!("model_group_retry_policy.{name}");
            match policy {
                Value::Object(policy) if self.models.contains_key(&name) => {
                    let policy = self.policy(&place, policy);
                    own.insert(name, Value::Object(policy));
                }
                Value::Object(_) => self.leave(place, "no model has this name"),
                _ => self.leave(place, "expected keys and values"),
            }
        }
        for (name, model) in &mut self.models {
            let policy = own.get(name).and_then(Value::as_object).unwrap_or(&general);
            let Some(model) = model.as_object_mut().filter(|_| !policy.is_empty()) else { continue };
            let mut retries = Fields::new();
            // What is said for all kinds holds for those of which nothing is said.
            if let Some(all) = model.get("retries").filter(|all| all.is_u64()) {
                let kinds = ["rate_limit", "timeout", "provider", "network"];
                retries.extend(kinds.map(|kind| (kind.to_owned(), all.clone())));
            }
            retries.extend(policy.clone());
            model.insert("retries".to_owned(), Value::Object(retries));
        }
    }

    /// Retries by our kinds of faults.
    fn policy(&mut self, place: &str, mut theirs: Fields) -> Fields {
        let mut ours = Fields::new();
        for (there, here) in RETRIES {
            let Some(count) = theirs.remove(there).and_then(|count| count.as_u64()) else { continue };
            let known = ours.get(here).and_then(Value::as_u64).unwrap_or(0);
            ours.insert(here.to_owned(), json!(count.min(MOST_RETRIES).max(known)));
        }
        for (name, count) in theirs {
            if count.as_u64().is_some_and(|count| count > 0) {
                self.leave(format!("{place}.{name}"), HOPELESS);
            }
        }
        ours
    }

    /// `allowed_fails`, by kinds or not, and `cooldown_time`: the section `health`, where they say anything.
    pub(super) fn leave_alone(&mut self, settings: &mut Fields, health: &mut Fields) {
        let by_kind = taken_map(settings, "allowed_fails_policy");
        let general = settings.remove("allowed_fails").and_then(|count| count.as_u64());
        let fails = by_kind.iter().filter(|(name, _)| FAILS.contains(&&***name));
        let fails = fails.filter_map(|(_, count)| count.as_u64()).min().or(general);
        if by_kind.len() > 1 || by_kind.keys().any(|name| !FAILS.contains(&&**name)) {
            self.leave("allowed_fails_policy", ONE_NUMBER);
        }
        // There it is the one after those that are allowed.
        if let Some(fails) = fails {
            let faults = fails.saturating_add(1).min(MOST_FAULTS);
            health.entry("faults").or_insert(json!(faults));
        }
        let seconds = settings.remove("cooldown_time").and_then(|seconds| seconds.as_f64());
        if let Some(seconds) = seconds.filter(|seconds| *seconds > 0.0) {
            health.entry("out").or_insert(json!(duration(seconds.min(A_DAY))));
        }
    }
}
