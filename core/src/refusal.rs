//! Every "no" that we say, in one table: status, code, words, hint.

use std::borrow::Cow;
use std::net::IpAddr;

use gatelet_wire::{ErrorKind, Malformed, PublicError, UpstreamError};

use crate::domain::account::{Denial, DenialCause};
use crate::domain::{AccountId, RequestId, Timestamp};
use crate::guard::{Blocked, Direction};
use crate::port::{Fault, FaultKind};

/// Why a request is not served. What only we may know (a [`Fault`]'s context) stays out of the words for the caller.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("no key was sent")]
    NoKey,
    #[error("the key's form or checksum is wrong")]
    KeyMalformed,
    #[error("the key is unknown")]
    KeyUnknown,
    #[error("the signature is wrong")]
    SignatureWrong { problem: &'static str },
    #[error("the signature is not of now")]
    SignatureExpired,
    #[error("the key is blocked")]
    KeyBlocked,
    #[error("the key was revoked")]
    KeyRevoked,
    #[error("the key expired")]
    KeyExpired { at: Timestamp },
    /// The key belongs to something that lets nobody in.
    #[error("`{account}` is blocked or deleted")]
    ScopeClosed { account: AccountId },
    #[error("the admin key is wrong")]
    AdminOnly,
    /// The key opens something, but not this.
    #[error("a key of the kind `{kind}` does not open this")]
    KeyKind { kind: &'static str },
    #[error("the key does not open the route `{route}`")]
    RouteForbidden { route: &'static str },
    #[error("`{by}` does not allow the tag `{tag}`")]
    TagForbidden { tag: String, by: AccountId },
    /// None: nobody knows from where the request comes.
    #[error("the key is not for this address")]
    SourceForbidden { address: Option<IpAddr> },
    /// Whoever calls may not do this, to nobody or not to this one.
    #[error("{role} may not {verb} this {resource}")]
    Forbidden { role: &'static str, verb: &'static str, resource: &'static str },
    #[error("model `{model}` is unknown")]
    ModelUnknown { model: String, near: Vec<String> },
    #[error("model `{model}` is not allowed for this key")]
    ModelForbidden { model: String },
    #[error("model `{model}` has no price, and the key has a budget")]
    ModelUnpriced { model: String },
    #[error("`{param}` makes a cost that nobody knows before")]
    CostUnbounded { param: String },
    #[error("prompt `{prompt}` is unknown")]
    PromptUnknown { prompt: String, hint: String },
    /// The caller wants all or nothing.
    #[error("`{target}` cannot carry {}", .lost.join(", "))]
    Lossy { target: String, lost: Vec<String> },
    /// No target of the model can do what the request asks for.
    #[error("model `{model}` {lack}")]
    Incapable { model: String, lack: &'static str, param: &'static str, near: Vec<String> },
    /// The caller is pinned to regions or providers, and no target of the model is there.
    #[error("no target of model `{model}` is where the caller is pinned to")]
    Outside { model: String, pinned: Vec<String> },
    /// A guard.
    #[error("the guard `{}` stopped it", .0.guard)]
    Guarded(Box<Blocked>),
    #[error("`{target}` has no operation `{operation}`")]
    OperationUnknown { target: String, operation: &'static str },
    /// What a request names by URL, for a target that wants its bytes.
    #[error("what `{param}` names was not fetched")]
    MediaUnfetched { param: String, why: Unfetched },
    #[error("calls of `{provider}` have no price, and the key has a budget")]
    PathUnpriced { provider: String },
    #[error("the interface of `{provider}` is closed")]
    InterfaceClosed { provider: String },
    #[error("the connection cannot become another")]
    UpgradeUnsupported,
    #[error("no such path")]
    NoRoute { path: String },
    #[error("the path does not know this method")]
    WrongMethod { allow: String },
    #[error("the body is longer than {most} bytes")]
    BodyTooLarge { most: usize },
    #[error("the body broke off")]
    BodyBroken,
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A value in an admin call that we do not take.
    #[error("`{param}`: {problem}")]
    Invalid { param: String, problem: String },
    /// A value of the right form that does not fit what is there.
    #[error("`{param}`: {problem}")]
    Unfit { param: String, problem: String },
    #[error("no such {what}")]
    NotFound { what: &'static str },
    /// The version that the caller changes, if it named one, and the one that stands.
    #[error("somebody else changed it first")]
    Conflict { expected: Option<u64>, current: Option<u64> },
    #[error("there is such a {what} already")]
    Exists { what: &'static str },
    /// Another call has the same idempotency key.
    #[error("the idempotency key is another call's")]
    Repeated(Repeated),
    /// What is open and belongs to it.
    #[error("{keys} keys and {scopes} others belong to this {what}")]
    InUse { what: &'static str, keys: usize, scopes: usize, some: Vec<String> },
    #[error("limit reached: {}", .0.limit)]
    Denied(Box<Denial>),
    /// The policy document is wrong, and there was none before it.
    #[error("the gateway has no policy")]
    Unconfigured,
    #[error("a part of the gateway failed")]
    Internal(#[source] Fault),
    /// An upstream answered with an error of its own.
    #[error("the upstream said {}: {}", .error.status, .error.message)]
    Upstream { target: String, error: Box<UpstreamError>, retry_after: Option<u64> },
    /// An upstream could not be reached, or said nothing that makes sense.
    #[error("the upstream failed")]
    UpstreamFailed { target: String, failure: UpstreamFailure },
    /// More than one target was asked, and none answered: what the last one said, and what became of those before it.
    #[error("{last}")]
    Exhausted { last: Box<Refusal>, tried: Vec<String> },
    /// The body came too slowly, or no time was left for the first call of an upstream.
    #[error("the request's time ran out")]
    Timeout,
}

/// What is known of the call that has an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeated {
    /// It asked for something else, or was another token's.
    Otherwise,
    /// It has only just begun.
    UnderWay,
}

/// Why what a URL names was not fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfetched {
    /// It may not be asked: the rest of a sentence that begins with the address.
    Address(&'static str),
    TooMany {
        most: usize,
    },
    TooLarge {
        most: usize,
    },
    Kind {
        expected: &'static str,
    },
    Status(u16),
    Redirects {
        most: u32,
    },
    Unreachable,
    TimedOut,
}

/// How an upstream failed without saying so itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamFailure {
    Unreachable,
    TimedOut,
    Malformed,
    /// The connection ended in the middle of the answer.
    Broken,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Internal(fault)
    }
}

/// What was found is named by its kind alone: the value itself is nowhere.
fn guarded(blocked: &Blocked) -> String {
    let what = match blocked.direction {
        Direction::In => "request",
        Direction::Out => "answer",
    };
    let guard = &blocked.guard;
    match (&blocked.message, &blocked.kind) {
        (Some(message), _) => message.to_string(),
        (None, Some(kind)) => format!("The guard `{guard}` stopped this {what}: it found `{kind}`."),
        (None, None) => {
            format!("The guard `{guard}` could not judge this {what}, and lets nothing pass then.")
        }
    }
}

/// One row of the table.
struct Row {
    status: u16,
    kind: ErrorKind,
    code: &'static str,
    message: Cow<'static, str>,
    param: Option<String>,
}

fn row(status: u16, kind: ErrorKind, code: &'static str, message: impl Into<Cow<'static, str>>) -> Row {
    Row { status, kind, code, message: message.into(), param: None }
}

impl Refusal {
    /// What the caller reads.
    pub fn public(&self, request: &RequestId) -> PublicError {
        let Row { status, kind, code, message, param } = self.row();
        PublicError {
            status,
            kind,
            code: code.into(),
            message: message.into_owned(),
            param,
            request_id: Some(request.to_string()),
        }
    }

    /// Problem details (RFC 9457): `type` and `title` are of the `code`, which is what programs look at; `detail` is of this
    /// case. What stands in the way of a change is told with it.
    pub fn problem(&self, public: &PublicError) -> serde_json::Value {
        let mut problem = serde_json::json!({
            "type": format!("urn:gatelet:problem:{}", public.code),
            "title": public.code.replace('_', " "),
            "status": public.status,
            "detail": public.message,
            "code": public.code,
            "request_id": public.request_id,
        });
        if let Some(param) = &public.param {
            problem["param"] = param.as_str().into();
        }
        match self {
            Self::Conflict { expected, current } => {
                problem["expected_version"] = (*expected).into();
                problem["current_version"] = (*current).into();
            }
            Self::InUse { keys, scopes, some, .. } => {
                problem["keys"] = (*keys).into();
                problem["scopes"] = (*scopes).into();
                problem["some"] = some.as_slice().into();
            }
            _ => {}
        }
        problem
    }

    /// The stable word for it in records and metrics.
    pub fn code(&self) -> &'static str {
        self.row().code
    }

    /// Whole seconds after which the same request may pass.
    pub fn retry_after(&self, now: Timestamp) -> Option<u64> {
        match self {
            Self::Denied(denial) => match denial.cause {
                DenialCause::Requests | DenialCause::Tokens => {
                    denial.retry_at.map(|at| seconds_until(at, now))
                }
                DenialCause::Parallel | DenialCause::BudgetHeld => Some(1),
                DenialCause::BudgetSpent => denial.renews_at.map(|at| seconds_until(at, now)),
                DenialCause::TooManyTokens | DenialCause::TooExpensive => None,
            },
            Self::Upstream { retry_after, .. } => *retry_after,
            Self::Exhausted { last, .. } => last.retry_after(now),
            Self::Internal(fault) if fault.kind.is_temporary() => Some(1),
            Self::Repeated(Repeated::UnderWay) => Some(1),
            _ => None,
        }
    }

    #[expect(clippy::too_many_lines, reason = "one table, which is best read as one")]
    fn row(&self) -> Row {
        use ErrorKind as Kind;
        match self {
            Self::NoKey => row(
                401,
                Kind::Authentication,
                "key_missing",
                "No key was sent. Send a virtual key as `Authorization: Bearer gk_…`, `x-api-key` or `api-key`.",
            ),
            Self::KeyMalformed => row(
                401,
                Kind::Authentication,
                "key_malformed",
                "This is not a key of this gateway, or a letter of it is wrong. Keys begin with `gk_`.",
            ),
            Self::KeyUnknown => row(
                401,
                Kind::Authentication,
                "key_unknown",
                "This key is unknown. It may have been deleted.",
            ),
            Self::SignatureWrong { problem } => row(
                403,
                Kind::Authentication,
                "signature_wrong",
                format!("This signature opens no key: {problem}."),
            ),
            Self::SignatureExpired => row(
                403,
                Kind::Authentication,
                "signature_expired",
                "This signature was made more than five minutes ago, or the clock of the signer is wrong.",
            ),
            Self::KeyRevoked => {
                row(401, Kind::Authentication, "key_revoked", "This key was revoked. Ask for a new one.")
            }
            Self::KeyExpired { at } => row(
                401,
                Kind::Authentication,
                "key_expired",
                format!("This key expired at {at}. Ask for a new one."),
            ),
            Self::ScopeClosed { account } => row(
                403,
                Kind::Permission,
                "scope_closed",
                format!("`{account}`, which this key belongs to, is blocked or deleted."),
            ),
            Self::KeyBlocked => row(
                403,
                Kind::Permission,
                "key_blocked",
                "This key is blocked. Whoever manages it can unblock it.",
            ),
            Self::AdminOnly => row(
                401,
                Kind::Authentication,
                "admin_key_wrong",
                "This call needs the admin key, or a key of the kind `management` or `read_only`, as \
                 `Authorization: Bearer …`.",
            ),
            Self::KeyKind { kind } => row(
                403,
                Kind::Permission,
                "key_kind_wrong",
                format!(
                    "A key of the kind `{kind}` does not open this. Models are called with `inference`, \
                     `/admin/v1` with `management` and `read_only`."
                ),
            ),
            Self::RouteForbidden { route } => row(
                403,
                Kind::Permission,
                "route_forbidden",
                format!("This key does not open the route `{route}`."),
            ),
            Self::TagForbidden { tag, by } => Row {
                param: Some("x-gatelet-tags".to_owned()),
                ..row(
                    403,
                    Kind::Permission,
                    "tag_forbidden",
                    format!("`{by}` does not allow requests to have the tag `{tag}`."),
                )
            },
            Self::SourceForbidden { address } => row(
                403,
                Kind::Permission,
                "source_forbidden",
                match address {
                    Some(address) => format!("This key may not be used from {address}."),
                    None => {
                        "This key is bound to addresses, and nobody can say from where this request comes."
                            .to_owned()
                    }
                },
            ),
            Self::Forbidden { role, verb, resource } => row(
                403,
                Kind::Permission,
                "permission_denied",
                format!("Whoever has the role `{role}` may not {verb} this {resource}."),
            ),
            Self::ModelUnknown { model, near } => Row {
                param: Some("model".to_owned()),
                ..row(
                    404,
                    Kind::NotFound,
                    "model_unknown",
                    if near.is_empty() {
                        format!("The model `{model}` is unknown here. `GET /v1/models` lists those that are.")
                    } else {
                        format!("The model `{model}` is unknown here. Did you mean `{}`?", near.join("`, `"))
                    },
                )
            },
            Self::PromptUnknown { prompt, hint } => Row {
                param: Some("prompt_id".to_owned()),
                ..row(404, Kind::NotFound, "prompt_unknown", format!("There is no prompt `{prompt}`{hint}"))
            },
            Self::Guarded(blocked) => row(
                400,
                Kind::InvalidRequest,
                if blocked.kind.is_some() { "guard_blocked" } else { "guard_failed" },
                guarded(blocked),
            ),
            Self::Lossy { target, lost } => Row {
                param: lost.first().cloned(),
                ..row(
                    400,
                    Kind::InvalidRequest,
                    "loss_refused",
                    format!(
                        "`{target}` cannot carry `{}`, and the request asks for all or nothing. Leave it out, or ask \
                         without `x-gatelet-strict`.",
                        lost.join("`, `")
                    ),
                )
            },
            Self::Incapable { model, lack, param, near } => Row {
                param: Some((*param).to_owned()),
                ..row(
                    400,
                    Kind::InvalidRequest,
                    "model_incapable",
                    if near.is_empty() {
                        format!("The model `{model}` {lack}.")
                    } else {
                        format!(
                            "The model `{model}` {lack}. Models that this key may call and that can: `{}`.",
                            near.join("`, `")
                        )
                    },
                )
            },
            Self::Outside { model, pinned } => Row {
                param: Some("model".to_owned()),
                ..row(
                    403,
                    Kind::Permission,
                    "outside_residency",
                    format!(
                        "No target of the model `{model}` is where requests of this key may go ({}). Ask for another \
                         model, or have an admin give this one a target there.",
                        pinned.join("; ")
                    ),
                )
            },
            Self::ModelForbidden { model } => Row {
                param: Some("model".to_owned()),
                ..row(
                    403,
                    Kind::Permission,
                    "model_forbidden",
                    format!(
                        "This key may not call the model `{model}`. `GET /v1/models` lists those that it may."
                    ),
                )
            },
            Self::ModelUnpriced { model } => Row {
                param: Some("model".to_owned()),
                ..row(
                    403,
                    Kind::Permission,
                    "model_unpriced",
                    format!(
                        "The model `{model}` has no price here, and this key has a budget that could not be kept. \
                         An admin can give the model a price."
                    ),
                )
            },
            Self::CostUnbounded { param } => Row {
                param: Some(param.clone()),
                ..row(
                    403,
                    Kind::Permission,
                    "cost_unbounded",
                    format!(
                        "`{param}` lets the provider spend or choose by itself, so that this key's budget and list of \
                         models could not be kept. Leave it out, or ask for a key without them."
                    ),
                )
            },
            Self::OperationUnknown { target, operation } => row(
                400,
                Kind::InvalidRequest,
                "operation_unsupported",
                format!(
                    "`{target}` cannot be asked for this ({operation}): its provider has no such operation."
                ),
            ),
            Self::InterfaceClosed { provider } => row(
                403,
                Kind::Permission,
                "interface_closed",
                format!(
                    "The configuration lists the models that may be called, and this call of `{provider}` names none of \
                     them. An admin can open the provider's own interface by its `passthrough`."
                ),
            ),
            Self::MediaUnfetched { param, why } => {
                Row { param: Some(param.clone()).filter(|param| !param.is_empty()), ..unfetched(why) }
            }
            Self::PathUnpriced { provider } => row(
                403,
                Kind::Permission,
                "path_unpriced",
                format!(
                    "What this call of `{provider}` costs is not known here, and this key has a budget that could not \
                     be kept. An admin can set the provider's `passthrough` to a price a request, or to free."
                ),
            ),
            Self::UpgradeUnsupported => row(
                501,
                Kind::InvalidRequest,
                "upgrade_unsupported",
                "Connections that become another (WebSocket) are not passed on by this gateway.",
            ),
            Self::NoRoute { path } => {
                row(404, Kind::NotFound, "path_unknown", format!("There is nothing at `{path}`."))
            }
            Self::WrongMethod { allow } => {
                row(405, Kind::InvalidRequest, "method_wrong", format!("This path takes {allow}."))
            }
            Self::BodyTooLarge { most } => row(
                413,
                Kind::TooLarge,
                "body_too_large",
                format!("The body is longer than the {most} bytes that this gateway takes."),
            ),
            Self::BodyBroken => {
                row(400, Kind::InvalidRequest, "body_broken", "The body ended before its announced length.")
            }
            Self::Malformed(malformed) => Row {
                param: match malformed {
                    Malformed::Field { path, .. } => Some(path.clone()),
                    Malformed::Duplicate { key } => Some(key.clone()),
                    Malformed::Json { .. }
                    | Malformed::Utf8 { .. }
                    | Malformed::TooDeep { .. }
                    | Malformed::Truncated
                    | Malformed::FrameTooLong { .. }
                    | Malformed::Frame { .. } => None,
                },
                ..row(
                    400,
                    Kind::InvalidRequest,
                    "body_malformed",
                    format!("The body is {}.", Sentence(malformed)),
                )
            },
            Self::Invalid { param, problem } => Row {
                param: Some(param.clone()),
                ..row(400, Kind::InvalidRequest, "value_invalid", format!("`{param}`: {problem}."))
            },
            Self::Unfit { param, problem } => Row {
                param: Some(param.clone()),
                ..row(422, Kind::InvalidRequest, "value_unfit", format!("`{param}`: {problem}."))
            },
            Self::NotFound { what } => {
                row(404, Kind::NotFound, "not_found", format!("There is no such {what}."))
            }
            Self::Conflict { .. } => row(
                409,
                Kind::Conflict,
                "version_conflict",
                "Somebody else changed it first. Read it again, then send your change.",
            ),
            Self::Exists { what } => row(
                409,
                Kind::Conflict,
                "already_exists",
                format!("There is such a {what} already, or there was: what is deleted keeps its name."),
            ),
            Self::Repeated(Repeated::Otherwise) => row(
                422,
                Kind::InvalidRequest,
                "idempotency_key_reused",
                "This `Idempotency-Key` was sent with another call, or with another token. Use a new one.",
            ),
            Self::Repeated(Repeated::UnderWay) => row(
                409,
                Kind::Conflict,
                "idempotency_key_busy",
                "A call with this `Idempotency-Key` has only just begun. Send it again in a moment.",
            ),
            Self::InUse { what, keys, scopes, some } => row(
                409,
                Kind::Conflict,
                "in_use",
                format!(
                    "{keys} keys and {scopes} others that are open belong to this {what}, such as `{}`. Close or move \
                     them first, or close them with it by `cascade=true`.",
                    some.join("`, `")
                ),
            ),
            Self::Denied(denial) => denied(denial),
            Self::Unconfigured => row(
                503,
                Kind::Overloaded,
                "gateway_unconfigured",
                "The gateway's configuration is wrong, so it serves nobody yet. Its log says what to change.",
            ),
            Self::Internal(fault) => match fault.kind {
                FaultKind::Unavailable | FaultKind::Timeout | FaultKind::Conflict => row(
                    503,
                    Kind::Overloaded,
                    "gateway_unavailable",
                    "The gateway's store did not answer; nothing was charged. Try again.",
                ),
                FaultKind::Denied | FaultKind::TooLarge | FaultKind::Corrupt => row(
                    500,
                    Kind::Api,
                    "gateway_failed",
                    "The gateway failed; nothing was charged. Its log tells more under this request's id.",
                ),
            },
            Self::Upstream { target, error, .. } => upstream(target, error),
            Self::Exhausted { last, tried } => {
                let row = last.row();
                // Providers end their messages as they like.
                let said = row.message.trim_end_matches(['.', ' ']);
                Row { message: format!("{said}. Tried before: {}.", tried.join(", ")).into(), ..row }
            }
            Self::UpstreamFailed { target, failure } => match failure {
                UpstreamFailure::Unreachable => {
                    row(502, Kind::Api, "upstream_unreachable", format!("`{target}` could not be reached."))
                }
                UpstreamFailure::TimedOut => {
                    row(504, Kind::Timeout, "upstream_timeout", format!("`{target}` did not answer in time."))
                }
                UpstreamFailure::Malformed => row(
                    502,
                    Kind::Api,
                    "upstream_malformed",
                    format!("`{target}` answered with something that its dialect does not know."),
                ),
                UpstreamFailure::Broken => row(
                    502,
                    Kind::Api,
                    "upstream_broken",
                    format!("`{target}` broke off in the middle of its answer."),
                ),
            },
            Self::Timeout => row(504, Kind::Timeout, "request_timeout", "The time for this request ran out."),
        }
    }
}

/// Nothing was sent, and another try of the same request will seldom pass: the caller's to change.
fn unfetched(why: &Unfetched) -> Row {
    let refuse = |code, message: String| row(400, ErrorKind::InvalidRequest, code, message);
    match why {
        Unfetched::Address(problem) => refuse(
            "media_url_refused",
            format!("The model takes no addresses, and this one {problem}: send the bytes themselves."),
        ),
        Unfetched::TooMany { most } => refuse(
            "media_too_many",
            format!("The model takes no addresses, and the gateway fetches at most {most} for one request."),
        ),
        Unfetched::TooLarge { most } => refuse(
            "media_too_large",
            format!("What is at this address is longer than the {most} bytes that are fetched."),
        ),
        Unfetched::Kind { expected } => {
            refuse("media_type_wrong", format!("What is at this address is not {expected}."))
        }
        Unfetched::Status(status) => refuse(
            "media_unreachable",
            format!("The server at this address answered with the status {status}."),
        ),
        Unfetched::Redirects { most } => refuse(
            "media_unreachable",
            format!("The server at this address sends on to others more than {most} times."),
        ),
        Unfetched::Unreachable => refuse(
            "media_unreachable",
            "The server at this address could not be reached, or broke off.".to_owned(),
        ),
        Unfetched::TimedOut => {
            refuse("media_unreachable", "The server at this address did not answer in time.".to_owned())
        }
    }
}

fn denied(denial: &Denial) -> Row {
    let Denial { account, limit, retry_at, renews_at, .. } = denial;
    let when =
        |what: &str, at: &Option<Timestamp>| at.map_or_else(String::new, |at| format!(" {what} {at}."));
    match denial.cause {
        DenialCause::Requests => row(
            429,
            ErrorKind::RateLimit,
            "requests_limited",
            format!("`{account}` may make {limit}.{}", when("One more passes at", retry_at)),
        ),
        DenialCause::Tokens => row(
            429,
            ErrorKind::RateLimit,
            "tokens_limited",
            format!("`{account}` may use {limit}.{}", when("This request passes at", retry_at)),
        ),
        DenialCause::TooManyTokens => row(
            400,
            ErrorKind::TooLarge,
            "tokens_over_limit",
            format!(
                "This request may use more than the {limit} of `{account}`: \
                 shorten it, or lower its output cap."
            ),
        ),
        DenialCause::Parallel => row(
            429,
            ErrorKind::RateLimit,
            "parallel_limited",
            format!("`{account}` may have {limit} requests running at the same time."),
        ),
        DenialCause::TooExpensive => row(
            402,
            ErrorKind::Billing,
            "budget_too_small",
            format!(
                "This request may cost more than the whole budget of `{account}` ({limit}): \
                 shorten it, lower its output cap, or ask for a cheaper model."
            ),
        ),
        DenialCause::BudgetSpent => row(
            402,
            ErrorKind::Billing,
            "budget_spent",
            format!(
                "The budget of `{account}` ({limit}) leaves too little for this request.{}",
                when("It renews at", renews_at)
            ),
        ),
        DenialCause::BudgetHeld => row(
            429,
            ErrorKind::RateLimit,
            "budget_held",
            format!(
                "What is left of the budget of `{account}` ({limit}) is held for requests that are still running. \
                 Try again when they have ended."
            ),
        ),
    }
}

/// An upstream's own error, with its meaning. What it thinks of our credential is our fault, not the caller's.
fn upstream(target: &str, error: &UpstreamError) -> Row {
    let message = format!("{target}: {}", error.message);
    let our_fault = |code| row(502, ErrorKind::Api, code, message.clone());
    let said = match error.kind {
        ErrorKind::Authentication => our_fault("upstream_credential"),
        ErrorKind::Billing => our_fault("upstream_billing"),
        ErrorKind::RateLimit => row(error.status, error.kind, "upstream_limited", message),
        ErrorKind::Overloaded => row(error.status, error.kind, "upstream_overloaded", message),
        ErrorKind::InvalidRequest if error.context_window => {
            row(error.status, error.kind, "context_length_exceeded", message)
        }
        ErrorKind::InvalidRequest if error.content_policy => {
            row(error.status, error.kind, "content_policy_violation", message)
        }
        ErrorKind::InvalidRequest
        | ErrorKind::Permission
        | ErrorKind::NotFound
        | ErrorKind::Conflict
        | ErrorKind::TooLarge => row(error.status, error.kind, "upstream_refused", message),
        ErrorKind::Timeout | ErrorKind::Api => row(error.status, error.kind, "upstream_failed", message),
    };
    Row { param: error.param.clone(), ..said }
}

/// Rounded up, so that the caller is never told to come too early.
fn seconds_until(at: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(at.since(now).as_micros().div_ceil(1_000_000)).unwrap_or(u64::MAX).max(1)
}

/// A [`Malformed`] as the second half of "The body is …".
struct Sentence<'a>(&'a Malformed);

impl std::fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Malformed::Json { .. } | Malformed::Utf8 { .. } | Malformed::TooDeep { .. } => {
                write!(f, "{}", self.0)
            }
            Malformed::Field { .. }
            | Malformed::Duplicate { .. }
            | Malformed::Truncated
            | Malformed::FrameTooLong { .. }
            | Malformed::Frame { .. } => write!(f, "malformed: {}", self.0),
        }
    }
}
