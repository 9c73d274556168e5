//! Requests that are signed as AWS wants it, with the pair of a virtual key.
//!
//! The pair's access key id names the key, so that its document is found and a stranger is refused before the body is
//! read; the signature, which covers the body, can only be judged after.

use std::sync::Arc;
use std::time::Duration;

use gatelet_wire::DialectId;
use gatelet_wire::dialect::Dialect;
use gatelet_wire::sigv4::{self, Claim};
use http::header::AUTHORIZATION;
use http::request::Parts;

use super::approach::Approach;
use super::authenticate;
use crate::domain::Caller;
use crate::domain::{KeyToken, Proof, ShardId, Timestamp};
use crate::refusal::Refusal;
use crate::shared::Core;

/// How far the moment of a signature may be from ours.
const SKEW: Duration = Duration::from_mins(5);
/// More headers than this are no honest client's.
const MOST_HEADERS: usize = 64;

/// A claim whose form is right, and what it covers but for the body.
#[derive(Debug)]
pub(super) struct Signed {
    shard: ShardId,
    id: String,
    method: String,
    /// The path as it came, and as it must have been sent if a host has decoded it on the way.
    paths: Vec<String>,
    query: String,
    moment: String,
    region: String,
    service: String,
    headers: Vec<(String, String)>,
    signature: String,
}

impl Signed {
    /// The claim of a request; none if it shows something else.
    ///
    /// # Errors
    /// It claims to be signed, but not by a key of ours, not now, or without what every signature must cover.
    pub(super) fn read(parts: &Parts, model: Option<&str>, now: Timestamp) -> Result<Option<Self>, Refusal> {
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let Some(authorization) = header(AUTHORIZATION.as_str()) else { return Ok(None) };
        if !authorization.trim_start().starts_with(sigv4::ALGORITHM) {
            return Ok(None);
        }
        let wrong = |problem| Refusal::SignatureWrong { problem };
        let claim = Claim::read(authorization).ok_or_else(|| wrong("its header is not whole"))?;
        let (shard, id) = KeyToken::of_access_id(claim.id).ok_or(Refusal::KeyMalformed)?;
        let moment = header("x-amz-date").ok_or_else(|| wrong("there is no `x-amz-date`"))?;
        let made = moment_of(moment).ok_or_else(|| wrong("`x-amz-date` is no moment"))?;
        if made.since(now).max(now.since(made)) > SKEW {
            return Err(Refusal::SignatureExpired);
        }
        if !moment.starts_with(claim.day) || claim.day.len() != 8 {
            return Err(wrong("its day is not that of `x-amz-date`"));
        }
        let names: Vec<&str> = claim.headers.split(';').collect();
        if !["host", "x-amz-date"].iter().all(|name| names.contains(name)) || names.len() > MOST_HEADERS {
            return Err(wrong("it must cover `host` and `x-amz-date`"));
        }
        let mut headers = Vec::with_capacity(names.len());
        for name in names {
            // HTTP/2 says the host in the address.
            let authority = (name == "host").then(|| parts.uri.authority()).flatten();
            let mut values =
                parts.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).peekable();
            if values.peek().is_none() {
                headers.extend(authority.map(|authority| (name.to_owned(), authority.to_string())));
            }
            headers.extend(values.map(|value| (name.to_owned(), value.to_owned())));
        }
        let path = parts.uri.path();
        let mut paths = vec![path.to_owned()];
        paths.extend(model.and_then(|model| sent(path, model)).filter(|sent| sent != path));
        Ok(Some(Self {
            shard,
            id,
            method: parts.method.as_str().to_owned(),
            paths,
            query: parts.uri.query().unwrap_or_default().to_owned(),
            moment: moment.to_owned(),
            region: claim.region.to_owned(),
            service: claim.service.to_owned(),
            headers,
            signature: claim.signature.to_owned(),
        }))
    }

    /// The document of the key that is named. One without a pair may be an old one from the cache: that is read anew.
    pub(super) async fn known(
        &self,
        core: &Core,
        now: Timestamp,
        approach: Approach<'_>,
    ) -> Result<Arc<Caller>, Refusal> {
        let good = |caller: &Caller| {
            caller.key.signing.is_some() && authenticate::usable(caller, now, approach).is_ok()
        };
        if let Some(cached) = core.keys.get(&self.shard, &self.id).filter(|cached| good(cached)) {
            return Ok(cached);
        }
        let caller = authenticate::read(core, &self.shard, &self.id).await?;
        authenticate::usable(&caller, now, approach)?;
        if caller.key.signing.is_none() {
            return Err(Refusal::SignatureWrong { problem: "the key has no pair for signing" });
        }
        Ok(caller)
    }

    /// Judges the signature, and gives the document whose secret made it.
    pub(super) async fn verify(
        self,
        core: &Core,
        caller: Arc<Caller>,
        body: &[u8],
        now: Timestamp,
        approach: Approach<'_>,
    ) -> Result<(Proof, Arc<Caller>), Refusal> {
        let hash = sigv4::body_hash(body);
        if let Some(proof) = self.proof(&caller, &hash) {
            return Ok((proof, caller));
        }
        // The pair may have been replaced since the document was read.
        let caller = authenticate::read(core, &self.shard, &self.id).await?;
        authenticate::usable(&caller, now, approach)?;
        let proof = self.proof(&caller, &hash).ok_or(Refusal::SignatureWrong {
            problem: "another secret made it, or what it covers was changed on the way",
        })?;
        Ok((proof, caller))
    }

    fn proof(&self, caller: &Caller, body_hash: &str) -> Option<Proof> {
        let secret = caller.key.signing.as_ref()?;
        let scope = sigv4::Scope { moment: &self.moment, region: &self.region, service: &self.service };
        let headers: Vec<(&str, &str)> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let right = self.paths.iter().any(|path| {
            let request = sigv4::Request {
                method: &self.method,
                path,
                query: &self.query,
                headers: &headers,
                body_hash,
            };
            same(&sigv4::signature(secret.expose(), &scope, &request), &self.signature)
        });
        let (shard, id, secret) = (self.shard.clone(), self.id.clone(), secret.clone());
        right.then_some(Proof::Signed { shard, id, secret })
    }
}

/// The path with the model as the vendor's SDKs encode it, whatever stands before and after.
fn sent(path: &str, model: &str) -> Option<String> {
    let bedrock: &dyn Dialect = DialectId::Bedrock.dialect();
    let (before, _) = path.split_once("/model/")?;
    let stream = path.ends_with("-stream");
    Some(format!("{before}{}", bedrock.path(model, stream)))
}

/// `20150830T123600Z`.
fn moment_of(text: &str) -> Option<Timestamp> {
    let digits = |from: usize, to: usize| {
        text.get(from..to).filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    if text.len() != 16 || text.get(8..9)? != "T" || text.get(15..)? != "Z" {
        return None;
    }
    let (year, month, day) = (digits(0, 4)?, digits(4, 6)?, digits(6, 8)?);
    let (hour, minute, second) = (digits(9, 11)?, digits(11, 13)?, digits(13, 15)?);
    Timestamp::parse(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"))
}

/// Whether two signatures are the same, in a time that does not tell where they differ.
fn same(left: &str, right: &str) -> bool {
    left.len() == right.len()
        && left.bytes().zip(right.bytes()).fold(0, |differs, (left, right)| differs | (left ^ right)) == 0
}
