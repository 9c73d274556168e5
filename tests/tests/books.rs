//! Alerts and sealed credentials on the real hosts, each with a store of its own: `cargo test -p gatelet-tests --test books`.

use std::io::Read as _;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use flate2::read::MultiGzDecoder;
use gatelet_tests::check_eq;
use gatelet_tests::client::{Call, Whole};
use gatelet_tests::host::{Host, Key, Kind};
use gatelet_tests::upstream::{Dialect, Play, Reply, Upstream};
use gatelet_tests::world::{UPSTREAM_KEYS, config, model, question};
use gatelet_wire::sigv4::keyed_hash;
use http::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// Two sealing keys, as `openssl rand -base64 32` makes them.
const OLD: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEW: &str = "Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=";
const OWN: &str = "sk-acmes-own-7f3c91d2e8b64a05";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_tells_each_limit_once_and_until_it_is_heard() -> Result<()> {
    alerts(Kind::Server).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_worker_tells_each_limit_once_and_until_it_is_heard() -> Result<()> {
    alerts(Kind::Worker).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lambda_tells_each_limit_once_and_until_it_is_heard() -> Result<()> {
    alerts(Kind::Lambda).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_shows_an_organisations_own_credential_to_its_provider_alone() -> Result<()> {
    credentials(Kind::Server).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_worker_shows_an_organisations_own_credential_to_its_provider_alone() -> Result<()> {
    credentials(Kind::Worker).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lambda_shows_an_organisations_own_credential_to_its_provider_alone() -> Result<()> {
    credentials(Kind::Lambda).await
}

fn ask(host: &Host, key: &Key, script: &str) -> Call {
    let body = question(Dialect::OpenAi, &model(Dialect::OpenAi, script));
    host.post("/v1/chat/completions").key(&key.secret).json(&body)
}

async fn alerts(kind: Kind) -> Result<()> {
    let upstream = Upstream::start().await?;
    upstream.script("said", [Reply::text(["a", "b"]).usage(41, 7).into()]);
    // The first one is not heard.
    upstream.script("alerts", [Play::json(500, &json!({})), Play::json(200, &json!({}))]);
    let channel = format!(
        "alerts:\n  - {{ kind: webhook, url: \"{}/files/alerts\", secret: shared-secret, on: [soft_limit, hard_limit] }}\n",
        upstream.base()
    );
    let host = Host::start(kind, &(config(&upstream) + &channel)).await?;
    // 48.5 micro-dollars each.
    let limits = json!({ "budget": ["0.0004 USD / day"], "soft_budget": ["0.00004 USD / day"] });
    let key = host.key(json!({ "limits": limits })).await?;
    ask(&host, &key, "said").expect(200).await?;
    told(&host, &upstream, 1).await?;
    let mut refused = false;
    for _ in 0..12 {
        refused = ask(&host, &key, "said").whole().await?.status == 402;
        if refused {
            break;
        }
    }
    ensure!(refused, "the budget is never spent");
    told(&host, &upstream, 3).await?;
    // Whoever looks again, twice, finds nothing that was not told.
    let end = Instant::now() + Duration::from_secs(35);
    while Instant::now() < end {
        host.tick().await?;
        sleep(Duration::from_secs(1)).await;
    }
    let received = upstream.received("alerts");
    check_eq!(received.len(), 3, "{}", host.log());
    let mut notices = Vec::new();
    for one in &received {
        let notice = one.json()?;
        let signature = one.header("x-gatelet-signature").context("no signature")?;
        let moment = signature.strip_prefix("t=").and_then(|rest| rest.split(',').next()).context("no t=")?;
        let body = std::str::from_utf8(&one.body)?;
        let hash = keyed_hash(b"shared-secret", &format!("{moment}.{body}"));
        check_eq!(signature, format!("t={moment},v1={hash}"));
        check_eq!(notice["of"], format!("key/{}", key.id), "{notice}");
        notices.push(notice);
    }
    let of = |event: &str| notices.iter().filter(|notice| notice["event"] == event).collect::<Vec<&Value>>();
    let (soft, hard) = (of("soft_limit"), of("hard_limit"));
    check_eq!((soft.len(), hard.len()), (2, 1), "{notices:?}");
    check_eq!(soft[0], soft[1]);
    check_eq!(notices[0]["event"], "soft_limit");
    Ok(())
}

/// Lets the host look until so many were sent.
async fn told(host: &Host, upstream: &Upstream, count: usize) -> Result<()> {
    let end = Instant::now() + Duration::from_mins(5);
    while upstream.received("alerts").len() < count {
        ensure!(
            Instant::now() < end,
            "{} of {count} alerts: {}",
            upstream.received("alerts").len(),
            host.log()
        );
        host.tick().await?;
        sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

async fn credentials(kind: Kind) -> Result<()> {
    let upstream = Upstream::start().await?;
    upstream.script("said", [Reply::text(["a", "b"]).usage(41, 7).into()]);
    let failure = json!({"error": {"message": "no", "type": "server_error", "param": null, "code": null}});
    upstream.script("failed", [Play::json(500, &failure), Play::json(401, &failure)]);
    let mut host = Host::start_with(kind, &config(&upstream), &[("GATELET_SEALING_KEY", OLD)]).await?;
    let mut said = Said::default();
    let admin = |host: &Host, method, path: &str| host.admin(method, &format!("/admin/v1/{path}"));
    admin(&host, Method::POST, "orgs").json(&json!({ "id": "acme" })).expect(201).await?;
    let wish = json!({ "id": "byo", "provider": "up-openai", "org": "acme", "secret": OWN });
    let made = said.hear(admin(&host, Method::POST, "credentials").json(&wish)).await?;
    check_eq!(made.status, 201, "{}", made.text());
    // A second one of the same name is refused, in words that do not tell of it.
    let again = said.hear(admin(&host, Method::POST, "credentials").json(&wish)).await?;
    check_eq!(again.status, 409, "{}", again.text());
    let inside = host.key(json!({ "org": "acme" })).await?;
    let outside = host.open_key().await?;
    let shown = async |host: &Host, key: &Key, wanted: &str| -> Result<()> {
        ask(host, key, "said").expect(200).await?;
        let received = upstream.received("said");
        let last = received.last().context("nothing was asked")?;
        check_eq!(last.header("authorization"), Some(format!("Bearer {wanted}").as_str()));
        Ok(())
    };
    let policys = UPSTREAM_KEYS[0].1;
    shown(&host, &inside, OWN).await?;
    shown(&host, &outside, policys).await?;
    for _ in 0..2 {
        let failed = said.hear(ask(&host, &inside, "failed")).await?;
        ensure!(failed.status >= 400, "{}", failed.text());
    }
    // What admins did has its place in the chain then.
    host.tick().await?;
    for path in ["credentials", "credentials/byo", "audit", "orgs/acme", "spend?by=org"] {
        check_eq!(said.hear(admin(&host, Method::GET, path)).await?.status, 200, "{path}");
    }
    // Another key seals from now on; the old one still opens.
    let both = format!("{NEW},{OLD}");
    said.text += &host.log();
    host.restart_with(&[("GATELET_SEALING_KEY", &both)]).await?;
    shown(&host, &inside, OWN).await?;
    let resealed = admin(&host, Method::POST, "reseal").expect(200).await?;
    check_eq!(resealed["resealed"], 1, "{resealed}");
    said.text += &host.log();
    host.restart_with(&[("GATELET_SEALING_KEY", NEW)]).await?;
    shown(&host, &inside, OWN).await?;
    shown(&host, &outside, policys).await?;
    host.tick().await?;
    for object in host.archive().await? {
        MultiGzDecoder::new(&*object.bytes).read_to_string(&mut said.text)?;
    }
    said.text += &host.log();
    ensure!(said.text.contains("\"byo\"") && said.text.contains("credential/byo"), "this is not all");
    ensure!(!said.text.contains(OWN), "the credential is seen");
    Ok(())
}

/// All that the host has said.
#[derive(Default)]
struct Said {
    text: String,
}

impl Said {
    async fn hear(&mut self, call: Call) -> Result<Whole> {
        let answer = call.whole().await?;
        self.text += &answer.text();
        Ok(answer)
    }
}
