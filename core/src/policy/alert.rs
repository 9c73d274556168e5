//! Whom the gateway tells what an admin should know, and how.

use http::Uri;

use crate::domain::Secret;
use crate::port::{Reach, is_public_host};

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A soft budget is spent.
    SoftLimit,
    /// What was spent so far in a period leads beyond its budget before the period ends.
    Projected,
    /// A budget is used up, to its last hundredth at least.
    HardLimit,
    /// Half of what a provider is asked for ends in errors.
    ProviderFailing,
    /// A key has a week left at the most.
    KeyExpiring,
    /// A sink takes no records.
    SinkFailing,
}

impl Event {
    pub const ALL: [Self; 6] = [
        Self::SoftLimit,
        Self::Projected,
        Self::HardLimit,
        Self::ProviderFailing,
        Self::KeyExpiring,
        Self::SinkFailing,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::SoftLimit => "soft_limit",
            Self::Projected => "projected_overspend",
            Self::HardLimit => "hard_limit",
            Self::ProviderFailing => "provider_failing",
            Self::KeyExpiring => "key_expiring",
            Self::SinkFailing => "sink_failing",
        }
    }
}

/// Somebody who is told. `Debug` shows no secret and no address, which is often one.
#[derive(Clone)]
pub struct Channel {
    /// A name of its own, by which what waits to be told is kept.
    pub name: Box<str>,
    pub way: Way,
    pub url: Uri,
    pub reach: Reach,
    /// What is told.
    pub on: Vec<Event>,
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel").field("name", &self.name).field("way", &self.way).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug)]
pub enum Way {
    /// Our own words as JSON, signed where there is a secret.
    Webhook { secret: Option<Secret> },
    /// `{"text": …}`, as Slack and many others read it.
    Slack,
    /// An e-mail over somebody's interface.
    Mail { by: Mailer, key: Secret, from: Box<str>, to: Vec<String> },
}

/// Whose interface for e-mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mailer {
    /// <https://resend.com/docs/api-reference/emails/send-email>
    Resend,
    /// <https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send>
    Sendgrid,
}

impl Mailer {
    pub(super) fn url(self) -> &'static str {
        match self {
            Self::Resend => "https://api.resend.com/emails",
            Self::Sendgrid => "https://api.sendgrid.com/v3/mail/send",
        }
    }
}

/// The address and how it may be reached: https at a public host, or a host that the admin names with its very address.
pub(super) fn address(text: &str) -> Option<(Uri, Reach)> {
    let uri: Uri = text.parse().ok()?;
    let host = uri.host()?;
    match uri.scheme_str()? {
        "https" if is_public_host(host) => Some((uri, Reach::Public)),
        "https" | "http" if !is_public_host(host) => Some((uri, Reach::Private)),
        _ => None,
    }
}
