//! Between the hold and the call: images and files that a request names by URL are fetched for a target that takes nothing
//! but their bytes.
//!
//! It comes after the hold, so that whoever may not call does not make the gateway call either, and so that every limit on
//! requests is one on this too. The hold stays an upper bound, because a file that is only named is bounded as the longest that
//! providers take: what is fetched may be no more than that, and is of the kind that it was named as.
//!
//! Nothing is kept when the request is over. Each address, redirects included, goes through the policy's rules and through
//! the host's own check of what it resolves to.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::StreamExt;
use gatelet_wire::SmallMap;
use gatelet_wire::chat::{self, Media, Source};
use gatelet_wire::source::{encoded, sniffed_bytes};
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};

use super::attempt::within;
use super::bound::NAMED_DOCUMENT_TOKENS;
use super::relay::Call;
use crate::policy::{Fetch, Target};
use crate::port::{Body, FaultKind};
use crate::refusal::{Refusal, Unfetched};
use crate::shared::Core;
use crate::together::together;

/// By kind and address, what was fetched, or why it was not: for all attempts of one request.
#[derive(Debug, Default)]
pub(super) struct Fetched(SmallMap<Named, Result<Source, Unfetched>>);

/// What is only named: a picture's address is no consent to take a book from there.
type Named = (Media, String);

/// Puts into `request` the bytes of what `target` does not fetch by itself.
///
/// # Errors
/// One of them cannot be had, or may not be fetched.
pub(super) async fn complete(
    core: &Arc<Core>,
    call: &mut Call<'_>,
    target: &Target,
    request: &mut chat::Request,
) -> Result<(), Refusal> {
    let wanted = wanted(request, target);
    let policy = core.policy();
    // Without rules, the target's dialect says what it does not take.
    let Some(rules) = policy.fetch().filter(|_| !wanted.is_empty()) else { return Ok(()) };
    let refuse = |url: &str, why: Unfetched| {
        let param = place(call.received.fields.as_str(), url);
        Refusal::MediaUnfetched { param, why }
    };
    if let Some((_, url)) = wanted.get(rules.files) {
        return Err(refuse(url, Unfetched::TooMany { most: rules.files }));
    }
    let missing: Vec<&Named> = wanted.iter().filter(|named| !call.fetched.0.contains_key(named)).collect();
    if !missing.is_empty() {
        let began = core.ports.clock.now();
        let limit = rules.time.min(call.deadline.since(began));
        // As long as what a caller sends along may be, once it is base64.
        let room = AtomicUsize::new(rules.total.min(core.settings.body_limit / 4 * 3));
        let all = missing.into_iter().map(|named| async {
            let got = pin!(get(core, rules, named.0, &named.1, &room));
            (named.clone(), within(core, limit, got).await.unwrap_or(Err(Unfetched::TimedOut)))
        });
        let all = together(all).await;
        call.fetched.0.extend(all);
        call.books.waited_for(core.ports.clock.now().since(began));
    }
    for named in &wanted {
        if let Some(Err(why)) = call.fetched.0.get(named) {
            return Err(refuse(&named.1, why.clone()));
        }
    }
    request.each_source(&mut |media, source| {
        let Source::Url(url) = source else { return };
        if let Some(Ok(found)) = call.fetched.0.get(&(media, url.clone())) {
            *source = found.clone();
        }
    });
    Ok(())
}

/// The addresses that must be fetched for `target`, each once.
pub(super) fn wanted(request: &mut chat::Request, target: &Target) -> Vec<Named> {
    let mut wanted: Vec<Named> = Vec::new();
    request.each_source(&mut |media, source| {
        if let Source::Url(url) = source
            && is_wanted(media, url, target)
            && !wanted.iter().any(|(kind, known)| *kind == media && known == url)
        {
            wanted.push((media, url.clone()));
        }
    });
    wanted
}

fn is_wanted(media: Media, url: &str, target: &Target) -> bool {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    let provider = &target.provider;
    matches!(scheme.as_deref(), Some("http" | "https"))
        && (provider.quirks.bytes_only || !provider.dialect.dialect().takes_url(media, url))
}

/// Fetches one, and judges what came.
async fn get(
    core: &Core,
    rules: &Fetch,
    media: Media,
    url: &str,
    room: &AtomicUsize,
) -> Result<Source, Unfetched> {
    let mut uri = address(url)?;
    for _ in 0..=rules.redirects {
        let reach = rules.reach(&uri).map_err(Unfetched::Address)?;
        let mut request = Request::new(Body::Empty);
        *request.method_mut() = Method::GET;
        *request.uri_mut() = uri.clone();
        let headers = request.headers_mut();
        headers
            .insert(ACCEPT, HeaderValue::from_static("image/*, application/pdf, text/*, audio/*, */*;q=0.1"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("gatelet/", env!("CARGO_PKG_VERSION"))));
        let answer = core.ports.upstream.send(request, reach).await.map_err(|fault| match fault.kind {
            FaultKind::Denied => Unfetched::Address("leads to no public address"),
            FaultKind::Timeout => Unfetched::TimedOut,
            FaultKind::Unavailable | FaultKind::Conflict | FaultKind::TooLarge | FaultKind::Corrupt => {
                Unfetched::Unreachable
            }
        })?;
        let (head, body) = answer.into_parts();
        match head.status.as_u16() {
            200 => {
                let bytes = collect(body, &head.headers, rules.file, room).await?;
                return judge(media, &bytes, text(&head.headers, CONTENT_TYPE).unwrap_or_default());
            }
            301 | 302 | 303 | 307 | 308 => {
                let next = text(&head.headers, LOCATION).ok_or(Unfetched::Unreachable)?;
                uri = join(&uri, next)?;
            }
            status => return Err(Unfetched::Status(status)),
        }
    }
    Err(Unfetched::Redirects { most: rules.redirects })
}

fn text(headers: &HeaderMap, name: http::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// A URL as it is written to a server: letters that are not ASCII, and spaces, are escaped, as browsers do.
fn address(url: &str) -> Result<Uri, Unfetched> {
    const WRONG: Unfetched = Unfetched::Address("is no whole http(s) address");
    let mut plain = String::with_capacity(url.len());
    let url = url.trim().split('#').next().unwrap_or_default();
    let path = url
        .find("://")
        .and_then(|at| Some(at + 3 + url.get(at + 3..)?.find(['/', '?'])?))
        .unwrap_or(url.len());
    for (at, letter) in url.char_indices() {
        if at >= path && (!letter.is_ascii() || letter == ' ') {
            let mut bytes = [0; 4];
            let escaped = letter.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}"));
            plain.extend(escaped);
        } else {
            plain.push(letter);
        }
    }
    plain.parse().map_err(|_| WRONG)
}

/// Where a redirect from `base` leads.
fn join(base: &Uri, location: &str) -> Result<Uri, Unfetched> {
    let (scheme, authority) =
        (base.scheme_str().unwrap_or_default(), base.authority().map_or("", |all| all.as_str()));
    let whole = location.find("://").zip(location.find(['/', '?', '#']));
    if whole.is_some_and(|(scheme, first)| scheme < first) {
        address(location)
    } else if location.starts_with("//") {
        address(&format!("{scheme}:{location}"))
    } else if location.starts_with('/') {
        address(&format!("{scheme}://{authority}{location}"))
    } else if location.starts_with('?') {
        address(&format!("{scheme}://{authority}{}{location}", base.path()))
    } else {
        let (folder, _) = base.path().rsplit_once('/').unwrap_or_default();
        address(&format!("{scheme}://{authority}{folder}/{location}"))
    }
}

/// Reads a body of at most `most` bytes, and no more than there is `room` for beside all others that are being read.
async fn collect(
    body: Body,
    headers: &HeaderMap,
    most: usize,
    room: &AtomicUsize,
) -> Result<Bytes, Unfetched> {
    let too_large = Err(Unfetched::TooLarge { most: most.min(room.load(Ordering::Relaxed)) });
    let announced = text(headers, CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
    let mut stream = match body {
        Body::Empty => return Ok(Bytes::new()),
        body => body.into_stream(),
    };
    // What is announced is believed only so far that nothing of it is read.
    if announced.is_some_and(|length| length > most || length > room.load(Ordering::Relaxed)) {
        return too_large;
    }
    let mut whole = Vec::with_capacity(announced.unwrap_or_default().min(1 << 20));
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| Unfetched::Unreachable)?;
        let taken =
            room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(chunk.len()));
        if taken.is_err() || chunk.len() > most - whole.len() {
            return too_large;
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.into())
}

/// What `bytes` are, by themselves: what their server calls them is believed only where bytes cannot tell.
fn judge(media: Media, bytes: &[u8], declared: &str) -> Result<Source, Unfetched> {
    let declared = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let sniffed = sniffed_bytes(bytes);
    let source =
        |media_type: &str| Ok(Source::Base64 { media_type: media_type.to_owned(), data: encoded(bytes) });
    match (media, sniffed) {
        (Media::Image, Some(kind)) if kind.starts_with("image/") => source(kind),
        (Media::Image, _) => Err(Unfetched::Kind { expected: "a PNG, JPEG, GIF or WebP image" }),
        (Media::Audio, Some(kind)) if kind.starts_with("audio/") => source(kind),
        (Media::Audio, _) => Err(Unfetched::Kind { expected: "sound in MP3, WAV, OGG or FLAC" }),
        (Media::Document, Some(kind)) if kind == "application/pdf" || kind.starts_with("image/") => {
            source(kind)
        }
        (Media::Document, None) => match std::str::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') && !text.is_empty() => words(text, &declared),
            _ if is_office(bytes, &declared) => source(&declared),
            _ => Err(Unfetched::Kind { expected: A_DOCUMENT }),
        },
        (Media::Document, Some(_)) => Err(Unfetched::Kind { expected: A_DOCUMENT }),
    }
}

const A_DOCUMENT: &str = "a PDF, an image, a text or an office document";

/// A text is as many tokens as it has bytes, at most: no more than what is held for a document that is only named.
fn words(text: &str, declared: &str) -> Result<Source, Unfetched> {
    let most = usize::try_from(NAMED_DOCUMENT_TOKENS).unwrap_or(usize::MAX);
    if text.len() > most {
        return Err(Unfetched::TooLarge { most });
    }
    let media_type = match declared {
        "application/json" | "application/xml" => declared,
        declared if declared.starts_with("text/") => declared,
        _ => "text/plain",
    };
    Ok(Source::Text { media_type: media_type.to_owned(), text: text.to_owned() })
}

/// Archives that are documents are such by what their servers call them.
fn is_office(bytes: &[u8], declared: &str) -> bool {
    let old = bytes.starts_with(b"\xd0\xcf\x11\xe0")
        && ["application/msword", "application/vnd.ms-excel"].contains(&declared);
    old || (bytes.starts_with(b"PK\x03\x04")
        && declared.starts_with("application/vnd.openxmlformats-officedocument."))
}

/// Where in `body` the text `url` stands, as `messages[2].content[1].image_url.url`.
fn place(body: &str, url: &str) -> String {
    fn find(value: &serde_json::Value, url: &str) -> Option<String> {
        match value {
            serde_json::Value::String(text) => (text == url).then(String::new),
            serde_json::Value::Array(list) => {
                list.iter().enumerate().find_map(|(at, value)| Some(format!("[{at}]{}", find(value, url)?)))
            }
            serde_json::Value::Object(map) => {
                map.iter().find_map(|(key, value)| Some(format!(".{key}{}", find(value, url)?)))
            }
            serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => None,
        }
    }
    let found =
        gatelet_wire::json::from_str(body).ok().and_then(|value| find(&value, url)).unwrap_or_default();
    found.trim_start_matches('.').to_owned()
}

#[cfg(test)]
mod tests;
