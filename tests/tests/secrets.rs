//! Hundreds of secrets where callers, admins, providers and sinks have theirs, each another: none of them is in the archive, in what
//! sinks are told, in logs, in answers of the admin API, in `/metrics`, on the disk or in a refusal. On every host.
//!
//! What has to be found is looked for in the same outputs: a search that finds nothing proves nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use gatelet_tests::check_eq;
use gatelet_tests::client::{Call, Whole};
use gatelet_tests::host::{Host, Key, Kind};
use gatelet_tests::planted::{Output, Planted};
use gatelet_tests::spoken;
use gatelet_tests::upstream::{ANY, Play, Reply, Upstream};
use gatelet_wire::DialectId;
use http::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// Stands in what is to be found: a tag, a key's alias, the name of a model, what a caller says.
const CONTROL: &str = "to-be-found";
/// As `openssl rand -base64 32` makes them.
const SEALING: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_comes_out_of_the_server() -> Result<()> {
    nowhere(Kind::Server).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_comes_out_of_the_worker() -> Result<()> {
    nowhere(Kind::Worker).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_comes_out_of_the_lambda() -> Result<()> {
    nowhere(Kind::Lambda).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn masked_content_of_the_server_has_no_secret() -> Result<()> {
    masked(Kind::Server).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn masked_content_of_the_worker_has_no_secret() -> Result<()> {
    masked(Kind::Worker).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn masked_content_of_the_lambda_has_no_secret() -> Result<()> {
    masked(Kind::Lambda).await
}

/// Sinks that tell others, and the headers in which their own credentials stand, as they must.
const SINKS: [&str; 8] = ["hook", "otel", "dd", "lf", "px", "sp", "el", "ch"];
const CREDENTIALS: [&str; 5] = ["authorization", "dd-api-key", "x-clickhouse-key", "x-scope", "space_id"];

/// Providers, sinks, channels and guards with a secret each. Who refuses connections has failures written about it.
fn config(upstream: &Upstream, planted: &Planted, content: bool) -> String {
    let (base, refusing) = (upstream.base(), upstream.refusing_base());
    let word = |place: &str| planted.word(format!("the configuration: {place}"));
    let price = r#"price: { input: "0.50", output: "4.00", per: 1M }"#;
    let mut lines = vec!["health: { faults: 50, out: 1m }\nproviders:".to_owned()];
    for (name, dialect, path) in
        [("openai", "openai", "/v1"), ("anthropic", "anthropic", ""), ("gemini", "gemini", "/v1beta")]
    {
        let (key, header) = (word(name), word(&format!("a header of {name}")));
        lines.push(format!(
            "  up-{name}: {{ dialect: {dialect}, base: \"{base}{path}\", key: {key}, headers: {{ x-own: {header} }} }}"
        ));
    }
    let pair = [word("the secret of a pair"), word("the token of a pair")].join(":");
    lines.push(format!(
        "  up-bedrock: {{ dialect: bedrock, base: \"{base}\", key: \"AKIDSCRIPT:{pair}\", region: eu-west-1 }}"
    ));
    lines.push(format!(
        "  up-refusing: {{ dialect: openai, base: \"{refusing}/v1\", key: {} }}\nmodels:",
        word("refusing")
    ));
    for (name, provider) in [
        ("chat", "openai"),
        ("claude", "anthropic"),
        ("gem", "gemini"),
        ("converse", "bedrock"),
        ("gone", "refusing"),
    ] {
        lines.push(format!(
            "  \"{name}/*\": {{ targets: [ {{ model: up-{provider}/*, {price} }} ], retries: 0 }}"
        ));
    }
    lines.push(format!(
        "alerts:\n  - {{ kind: webhook, url: \"{refusing}/alerts?token={}\", secret: {} }}",
        word("a channel's address"),
        word("a channel")
    ));
    lines.push(format!(
        "guards:\n  pii: {{ kind: pii, mask: [email] }}\n  gone: {{ kind: webhook, url: \"{refusing}/guard?token={}\", fail: open, on: input, timeout: 20s }}",
        word("a guard's address")
    ));
    lines.push("sinks:\n  so: { kind: stdout }\n  sy: { kind: syslog }".to_owned());
    let told = if content { ", content: true" } else { "" };
    for (name, kind) in SINKS.iter().zip([
        "webhook",
        "otlp",
        "datadog",
        "langfuse",
        "arize",
        "splunk",
        "elastic",
        "clickhouse",
    ]) {
        let key = word(name);
        let key = if matches!(*name, "lf" | "ch") { format!("user:{key}") } else { key };
        let header = word(&format!("a header of {name}"));
        lines.push(format!(
            "  {name}: {{ kind: {kind}, url: \"{base}/files/{name}\", key: \"{key}\", headers: {{ x-scope: {header} }}{told} }}"
        ));
    }
    lines.push(format!(
        "  away: {{ kind: webhook, url: \"{refusing}/in/{}\", key: {} }}",
        word("an address that refuses"),
        word("away")
    ));
    if content {
        lines.push("content: masked".to_owned());
    }
    lines.join("\n")
}

/// All that somebody has heard, beside what is kept.
#[derive(Default)]
struct Heard {
    outputs: Vec<Output>,
    ids: BTreeSet<String>,
}

impl Heard {
    /// An answer, to its end.
    async fn hear(&mut self, name: &str, call: Call) -> Result<Whole> {
        let answer = call.whole().await.with_context(|| name.to_owned())?;
        self.note(format!("{name}: {}", answer.status), &answer);
        Ok(answer)
    }

    fn note(&mut self, name: String, answer: &Whole) {
        self.ids.extend(answer.header("x-gatelet-request-id").map(str::to_owned));
        let mut bytes = format!("{:?}\n", answer.headers).into_bytes();
        bytes.extend_from_slice(&answer.body);
        self.outputs.push(Output::stored(name, bytes));
    }
}

async fn nowhere(kind: Kind) -> Result<()> {
    let (upstream, planted) = (Upstream::start().await?, Planted::default());
    scripts(&upstream, &planted);
    let config = config(&upstream, &planted, false);
    let host = Host::start_with(kind, &config, &[("GATELET_SEALING_KEY", SEALING)]).await?;
    host.tick().await?;
    let mut heard = Heard::default();
    let keys = admins(&host, &planted, &mut heard).await?;
    callers(&host, &planted, &keys, &mut heard).await?;
    let told = until_told(&host, &upstream, &heard).await.with_context(|| host.log())?;
    looked(&host, &heard.ids.clone(), &mut heard).await?;
    let stored = kept(&host, &mut heard).await?;
    heard.outputs.extend(told);
    heard.outputs.push(Output::new("log", host.said()));
    // They were where they were planted.
    ensure!(planted.count() >= 200, "only {} secrets", planted.count());
    let sent = received(&upstream, |path| !path.starts_with("/files/"), |_| true);
    let reached = planted.found(&sent);
    for place in [
        "what a caller says",
        "a credential of an organisation",
        "the configuration: openai",
        "the configuration: a header of gemini",
        "the configuration: the token of a pair",
    ] {
        ensure!(
            reached.contains_key(place),
            "no provider was sent the secret of {place}: {:?}",
            reached.keys()
        );
    }
    controls(&heard, &stored)?;
    let leaks = planted.found(heard.outputs.iter().chain(&stored));
    ensure!(leaks.is_empty(), "{leaks:#?}\n{}", shown(&leaks, &heard));
    for key in &keys {
        for output in heard.outputs.iter().chain(&stored) {
            ensure!(!output.has(&key.secret), "a key is in {}", output.name);
        }
    }
    ensure!(
        !heard.outputs.iter().chain(&stored).any(|output| output.has(SEALING)),
        "the sealing key is seen"
    );
    Ok(())
}

/// The first outputs in which something was found, for whoever has to mend it.
fn shown(leaks: &BTreeMap<String, Vec<String>>, heard: &Heard) -> String {
    let names: BTreeSet<&String> = leaks.values().flatten().collect();
    let outputs = heard.outputs.iter().filter(|output| names.contains(&output.name) && output.name != "log");
    let texts =
        outputs.take(5).map(|output| format!("{}:\n{}", output.name, String::from_utf8_lossy(&output.bytes)));
    texts.collect::<Vec<_>>().join("\n")
}

fn scripts(upstream: &Upstream, planted: &Planted) {
    upstream.script("said", [Reply::text(["a ", "few"]).usage(40, 7).into()]);
    for (name, status) in [("echo-400", 400), ("echo-401", 401), ("echo-500", 500), ("echo-event", 0)] {
        upstream.script(name, [Play::Echo(status)]);
    }
    // Somebody else's secrets, in a provider's words.
    for (name, status) in [("tells-400", 400), ("tells-500", 500)] {
        let tell = |_| {
            let words = format!("the key {} of another is spent", planted.token("an error of a provider"));
            Play::json(
                status,
                &json!({ "error": { "message": words, "type": "invalid_request_error", "code": words } }),
            )
        };
        upstream.script(name, (0..6).map(tell));
    }
    let fine = || Play::json(207, &json!({ "successes": [], "errors": [] }));
    upstream.script(ANY, [fine()]);
    // A sink that says what it was shown, and takes nothing at first.
    upstream.script("hook", [Play::Echo(500), Play::Echo(400), fine()]);
    upstream.script("sp/services/collector/event", [Play::Echo(503), Play::Echo(403), fine()]);
}

/// Credentials and keys; what an admin says wrong comes back without it.
async fn admins(host: &Host, planted: &Planted, heard: &mut Heard) -> Result<Vec<Key>> {
    let admin = |method, path: &str| host.admin(method, &format!("/admin/v1/{path}"));
    admin(Method::POST, "orgs").json(&json!({ "id": "acme" })).expect(201).await?;
    for (id, provider, org) in [("byo", "up-openai", Some("acme")), ("hooks", "sinks/hook", None)] {
        let of = if org.is_some() { "a credential of an organisation" } else { "a credential of a sink" };
        let mut wish = json!({ "id": id, "provider": provider, "secret": planted.word(of) });
        wish["org"] = json!(org);
        if org.is_none() {
            wish.as_object_mut().context("no object")?.remove("org");
        }
        for status in [201, 409] {
            let made = heard.hear("a credential", admin(Method::POST, "credentials").json(&wish)).await?;
            check_eq!(made.status, status, "{}", made.text());
        }
    }
    let wrong = |fields: Value| admin(Method::POST, "credentials").json(&fields);
    let word = || planted.word("what an admin says wrong");
    for fields in [
        json!({ "id": "other", "provider": "nobody", "secret": word() }),
        json!({ "id": "other", "provider": "up-openai", "secret": [word()] }),
        json!({ "id": "other", "provider": "up-openai", "secret": "fine-and-long-enough", "password": word() }),
    ] {
        let refused = heard.hear("a wrong credential", wrong(fields)).await?;
        ensure!(refused.status >= 400, "{}", refused.text());
    }
    let broken = format!("{{\"id\":\"other\",\"secret\":\"{}\"", word());
    heard.hear("a broken credential", admin(Method::POST, "credentials").body(broken)).await?;
    let stranger = host.get("/admin/v1/keys").key(&planted.word("a stranger's admin key"));
    check_eq!(heard.hear("a stranger", stranger).await?.status, 401);
    let mut keys = Vec::new();
    for fields in [
        json!({ "alias": CONTROL, "limits": { "budget": ["5 USD / day"] } }),
        json!({ "org": "acme", "limits": {} }),
        json!({ "limits": { "budget": ["0.000001 USD / day"] } }),
    ] {
        keys.push(host.key(fields).await?);
    }
    Ok(keys)
}

const DIALECTS: [DialectId; 7] = [
    DialectId::Openai,
    DialectId::Anthropic,
    DialectId::OpenaiResponses,
    DialectId::Gemini,
    DialectId::Bedrock,
    DialectId::Cohere,
    DialectId::Ollama,
];
const MODELS: [&str; 15] = [
    "chat/said",
    "claude/said",
    "chat/echo-400",
    "claude/echo-401",
    "gem/echo-400",
    "converse/echo-400",
    "chat/echo-500",
    "claude/echo-500",
    "gem/echo-401",
    "converse/echo-500",
    "chat/echo-event",
    "chat/tells-400",
    "claude/tells-500",
    "gone/said",
    "to-be-found/nobody",
];
const HEADERS: [&str; 18] = [
    "cookie",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "proxy-authorization",
    "x-forwarded-authorization",
    "x-amz-security-token",
    "x-amz-user-agent",
    "openai-organization",
    "openai-project",
    "anthropic-beta",
    "x-goog-user-project",
    "x-secret",
    "x-csrf-token",
    "referer",
    "user-agent",
    "forwarded",
    "x-forwarded-for",
];
const QUERIES: [&str; 5] = ["token", "api_key", "sig", "access_token", "x-amz-signature"];

/// Every dialect, model and place in turns: four secrets a request.
async fn callers(host: &Host, planted: &Planted, keys: &[Key], heard: &mut Heard) -> Result<()> {
    const REQUESTS: usize = 60;
    for number in 0..REQUESTS {
        let dialect = DIALECTS[number % DIALECTS.len()];
        let model = MODELS[number % MODELS.len()];
        let streamed = number % 3 == 1 || model.ends_with("event");
        let said = format!("{CONTROL}: my key is {}", planted.word("what a caller says"));
        let request = spoken::question(model, &said, streamed);
        // Most by the key of nobody, some by the organisation's, and some who may not.
        let key = &keys[match number % 6 {
            1 | 2 => 1,
            5 if number > 40 => 2,
            _ => 0,
        }];
        let name = QUERIES[number % QUERIES.len()];
        let query = format!("{name}={}", planted.word(format!("the query's {name}")));
        let mut call = spoken::call(host.address(), dialect, &key.secret, &request)?.query(&query);
        for name in [HEADERS[number % HEADERS.len()], HEADERS[(number * 5 + 7) % HEADERS.len()]] {
            call = call.header(name, &planted.word(format!("the header {name}")));
        }
        if number % 4 == 0 {
            let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
            let (state, bag) = (planted.token("tracestate"), planted.token("baggage"));
            call = call.header("traceparent", trace).header("tracestate", &format!("own={state}"));
            call = call.header("baggage", &format!("region=eu,token={bag}"));
        }
        if number % 7 == 3 {
            call = call.header("x-gatelet-guards", "gone");
        }
        call = call.header("x-gatelet-tags", CONTROL);
        heard.hear(&format!("{} {model}", dialect.name()), call).await?;
    }
    for place in ["authorization", "x-api-key", "x-goog-api-key", "api-key", "query"] {
        let secret = planted.word(format!("a stranger's key: {place}"));
        let call = host.post("/v1/chat/completions").json(&json!({ "model": "chat/said", "messages": [] }));
        let call = match place {
            "authorization" => call.key(&secret),
            "query" => call.query(&format!("key={secret}")),
            _ => call.header(place, &secret),
        };
        let answer = heard.hear(&format!("a stranger by {place}"), call).await?;
        check_eq!(answer.status, 401, "{}", answer.text());
    }
    // What breaks a body does not come back in the words about it.
    let broken = format!(
        "{{\"model\":\"chat/said\",\"messages\":[{{\"role\":\"user\",\"content\":\"{}\"",
        planted.word("a broken body")
    );
    heard.hear("a broken body", host.post("/v1/chat/completions").key(&keys[0].secret).body(broken)).await?;
    Ok(())
}

/// What was sent, as far as somebody reads it: its address, headers and body.
fn received(upstream: &Upstream, path: impl Fn(&str) -> bool, header: impl Fn(&str) -> bool) -> Vec<Output> {
    let all = upstream.all_received();
    let mine = all.values().flatten().filter(|received| path(&received.path));
    mine.flat_map(|received| {
        let headers: Vec<_> = received.headers.iter().filter(|(name, _)| header(name.as_str())).collect();
        let head = format!("{} {headers:?}\n", received.path);
        [
            Output::new(received.path.clone(), head),
            Output::stored(received.path.clone(), received.body.to_vec()),
        ]
    })
    .collect()
}

/// Waits until the sink that was last has heard of every record; what sinks were told.
async fn until_told(host: &Host, upstream: &Upstream, heard: &Heard) -> Result<Vec<Output>> {
    let end = Instant::now() + Duration::from_mins(8);
    loop {
        host.tick().await?;
        let told =
            received(upstream, |path| path.starts_with("/files/"), |name| !CREDENTIALS.contains(&name));
        let mut records = BTreeSet::new();
        for object in host.archive().await? {
            for line in object.records()? {
                records.extend(line["id"].as_str().map(str::to_owned).filter(|id| heard.ids.contains(id)));
            }
        }
        let of = |sink: &str| {
            told.iter()
                .filter(|output| output.name.starts_with(&format!("/files/{sink}")))
                .collect::<Vec<_>>()
        };
        let all = |sink: &str| records.iter().all(|id| of(sink).iter().any(|output| output.has(id)));
        // Those that were ill have told it all in their answers by then, and were well again.
        let well =
            ["hook", "sp/services/collector/event"].iter().all(|sink| upstream.received(sink).len() > 2);
        if well
            && records.len() > 50
            && ["hook", "sp", "otel", "dd", "el", "ch"].iter().all(|sink| all(sink))
            && SINKS.iter().all(|sink| !of(sink).is_empty())
        {
            return Ok(told);
        }
        ensure!(
            Instant::now() < end,
            "{} records, and {:?}",
            records.len(),
            SINKS.map(|sink| (sink, of(sink).len(), all(sink)))
        );
        sleep(Duration::from_millis(500)).await;
    }
}

/// What admins and others look at.
async fn looked(host: &Host, ids: &BTreeSet<String>, heard: &mut Heard) -> Result<()> {
    let paths = [
        "keys",
        "orgs",
        "orgs/acme",
        "teams",
        "credentials",
        "credentials/byo",
        "requests?limit=100",
        "audit",
        "spend",
        "spend?by=model",
        "targets",
        "erasures",
        "archive?prefix=",
    ];
    for path in paths {
        let answer = heard
            .hear(&format!("admin {path}"), host.admin(Method::GET, &format!("/admin/v1/{path}")))
            .await?;
        check_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    for id in ids {
        heard.hear("admin request", host.admin(Method::GET, &format!("/admin/v1/requests/{id}"))).await?;
    }
    let explained = host.admin(Method::POST, "/admin/v1/explain").json(&json!({ "model": "chat/said" }));
    heard.hear("admin explain", explained).await?;
    for path in ["/metrics", "/health/ready", "/v1/models"] {
        heard.hear(path, host.admin(Method::GET, path)).await?;
    }
    Ok(())
}

/// The archive with all that lies beside the records, and the host's own store.
async fn kept(host: &Host, heard: &mut Heard) -> Result<Vec<Output>> {
    let mut after: Option<String> = None;
    loop {
        let from = after.map(|name| format!("&after={name}")).unwrap_or_default();
        let page = host
            .admin(Method::GET, &format!("/admin/v1/archive?prefix=&limit=100{from}"))
            .expect(200)
            .await?;
        for name in page["names"].as_array().context("no names")?.iter().filter_map(Value::as_str) {
            let object = host.admin(Method::GET, &format!("/admin/v1/archive/{name}")).whole().await?;
            check_eq!(object.status, 200, "{name}");
            heard.outputs.push(Output::stored(format!("object {name}"), object.body.to_vec()));
        }
        after = page["next"].as_str().map(str::to_owned);
        if after.is_none() {
            return host.stored().await;
        }
    }
}

/// Every kind of output has what it is to have.
fn controls(heard: &Heard, stored: &[Output]) -> Result<()> {
    let kinds = [
        ("object v1/", CONTROL),
        ("admin requests", CONTROL),
        ("admin keys", CONTROL),
        ("admin spend", "\"said\""),
        ("/metrics", "up-openai"),
        ("log", CONTROL),
        ("/files/hook", CONTROL),
        ("/files/otel", CONTROL),
        ("/files/dd", "chat/said"),
        ("/files/lf", "chat/said"),
        ("/files/px", "said"),
        ("/files/sp", CONTROL),
        ("/files/el", CONTROL),
        ("/files/ch", CONTROL),
    ];
    for (kind, words) in kinds {
        let mut mine = heard.outputs.iter().filter(|output| output.name.starts_with(kind));
        ensure!(mine.any(|output| output.has(words)), "`{words}` is not found in {kind}");
    }
    ensure!(stored.iter().any(|output| output.has(CONTROL)), "nothing is found in {} files", stored.len());
    // Refusals: of who refuses by himself, and in the words of a provider.
    for words in ["to-be-found/nobody", "[hidden]", "of another is spent"] {
        ensure!(heard.outputs.iter().any(|output| output.has(words)), "`{words}` is nowhere");
    }
    Ok(())
}

/// What is kept and told of prompts and answers is without secrets and personal data; all else of them is there.
async fn masked(kind: Kind) -> Result<()> {
    let (upstream, planted) = (Upstream::start().await?, Planted::default());
    let config = config(&upstream, &planted, true);
    upstream.script(ANY, [Play::json(207, &json!({ "successes": [], "errors": [] }))]);
    let host = Host::start(kind, &config).await?;
    host.tick().await?;
    let key = host.key(json!({ "alias": CONTROL })).await?;
    let mut heard = Heard::default();
    for number in 0..28 {
        let dialect = DIALECTS[number % DIALECTS.len()];
        let (model, streamed) =
            (format!("{}/masks-{number}", ["chat", "claude"][number / 7 % 2]), number % 2 == 1);
        let secret = |place: &str| if number % 3 == 0 { planted.mail(place) } else { planted.token(place) };
        // A service's token is found wherever a stream cuts it.
        let (said, answered) = (secret("what a caller says"), secret("what a model says"));
        let (begin, end) = answered.split_at(answered.len() / 2);
        upstream.script(
            &model[model.find('/').unwrap_or(0) + 1..],
            [Reply::text(["Dear ", begin, end, ", goodbye"]).usage(40, 7).into()],
        );
        let request = spoken::question(&model, &format!("{CONTROL}: write to {said} please"), streamed);
        let mut call = spoken::call(host.address(), dialect, &key.secret, &request)?;
        if number % 4 == 0 {
            call = call.header("x-gatelet-guards", "pii");
        }
        let answer = call.header("x-gatelet-tags", CONTROL).whole().await?;
        check_eq!(answer.status, 200, "{}", answer.text());
        heard.ids.extend(answer.header("x-gatelet-request-id").map(str::to_owned));
    }
    let sent = received(&upstream, |path| !path.starts_with("/files/"), |_| true);
    ensure!(planted.found(&sent).contains_key("what a caller says"), "nothing was sent");
    let end = Instant::now() + Duration::from_mins(8);
    let told = loop {
        host.tick().await?;
        let told =
            received(&upstream, |path| path.starts_with("/files/"), |name| !CREDENTIALS.contains(&name));
        let all = heard.ids.iter().all(|id| {
            ["otel", "dd"].iter().all(|sink| {
                told.iter().any(|output| output.name.starts_with(&format!("/files/{sink}")) && output.has(id))
            })
        });
        if all
            && ["lf", "px"]
                .iter()
                .all(|sink| told.iter().any(|output| output.name.starts_with(&format!("/files/{sink}"))))
        {
            break told;
        }
        ensure!(Instant::now() < end, "sinks do not hear of all: {}", host.log());
        sleep(Duration::from_millis(500)).await;
    };
    looked_masked(&host, &heard.ids.clone(), &mut heard).await?;
    let stored = kept(&host, &mut heard).await?;
    heard.outputs.extend(told);
    heard.outputs.push(Output::new("log", host.said()));
    for kind in ["object content/", "admin request", "/files/otel", "/files/dd", "/files/lf", "/files/px"] {
        let mut mine = heard.outputs.iter().filter(|output| output.name.starts_with(kind));
        let words = [format!("{CONTROL}: write to ["), "goodbye".to_owned()];
        ensure!(
            mine.any(|output| words.iter().all(|words| output.has(words))),
            "no masked content in {kind}"
        );
    }
    let leaks = planted.found(heard.outputs.iter().chain(&stored));
    ensure!(leaks.is_empty(), "{leaks:#?}\n{}", shown(&leaks, &heard));
    Ok(())
}

async fn looked_masked(host: &Host, ids: &BTreeSet<String>, heard: &mut Heard) -> Result<()> {
    for id in ids {
        let answer =
            heard.hear("admin request", host.admin(Method::GET, &format!("/admin/v1/requests/{id}"))).await?;
        check_eq!(answer.status, 200, "{}", answer.text());
    }
    Ok(())
}
