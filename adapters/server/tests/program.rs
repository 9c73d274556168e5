//! The program as its users meet it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const ADMIN_KEY: &str = "an-admin-key-for-tests";

/// A gateway that is killed when the test is over.
struct Gateway {
    child: Child,
    address: SocketAddr,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Gateway {
    /// Starts it in `folder`, its words in `folder/out` and `folder/err`, and waits until it answers.
    fn start(folder: &Path, arguments: &[&str], admin_key: Option<&str>) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let file =
            |name: &str| std::fs::File::options().create(true).append(true).open(folder.join(name)).unwrap();
        let mut command = gatelet(folder);
        command.args(arguments).env("GATELET_LISTEN", address.to_string());
        if let Some(key) = admin_key {
            command.env("GATELET_ADMIN_KEY", key);
        }
        let child = command.stdout(file("out")).stderr(file("err")).spawn().unwrap();
        let mut gateway = Self { child, address };
        let end = Instant::now() + Duration::from_mins(1);
        let listening = format!("listening address={address}");
        while !std::fs::read_to_string(folder.join("err")).unwrap().contains(&listening) {
            if let Some(status) = gateway.child.try_wait().unwrap() {
                panic!("{status}: {}", std::fs::read_to_string(folder.join("err")).unwrap());
            }
            assert!(Instant::now() < end, "it does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        gateway
    }

    fn tell(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn ended(mut self) -> ExitStatus {
        let end = Instant::now() + Duration::from_mins(1);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The whole answer to a request that closes its connection.
    fn ask(&self, method: &str, path: &str, key: &str, body: &str) -> String {
        let mut stream = self.send(method, path, key, body);
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn send(&self, method: &str, path: &str, key: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {key}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        stream
    }

    fn command(&self, folder: &Path, arguments: &[&str]) -> Output {
        let url = format!("http://{}", self.address);
        gatelet(folder)
            .args(arguments)
            .env("GATELET_URL", url)
            .env("GATELET_ADMIN_KEY", ADMIN_KEY)
            .output()
            .unwrap()
    }
}

/// The program in `folder`, without what the environment of the tests may have set.
fn gatelet(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatelet"));
    let ours = std::env::vars_os().map(|(name, _)| name);
    for name in ours.filter(|name| {
        let name = name.to_string_lossy();
        name.starts_with("GATELET_") || name.ends_with("_API_KEY")
    }) {
        command.env_remove(name);
    }
    command.current_dir(folder).stdin(Stdio::null());
    command
}

/// The word after `label` in what a start has printed.
fn printed(text: &str, label: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix(label))?;
    line.split_whitespace().next().map(str::to_owned)
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

const WORDS: &str =
    r#"{"model":"demo/echo","stream":true,"messages":[{"role":"user","content":"one two three"}]}"#;
/// Half a second: 200 ms before each word.
const SLOW_WORDS: &str =
    r#"{"model":"demo/echo","stream":true,"messages":[{"role":"user","content":"/slow one two three"}]}"#;

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// All records in the archive of a data folder.
fn records(data: &Path) -> Vec<Value> {
    let mut found = Vec::new();
    for file in files(&data.join("archive")) {
        let mut lines = String::new();
        MultiGzDecoder::new(std::fs::File::open(file).unwrap()).read_to_string(&mut lines).unwrap();
        found.extend(lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
    }
    found.retain(|record| record["kind"] == "request");
    found
}

#[test]
fn the_first_start_makes_keys_and_shows_them_once_and_what_it_prints_works() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(folder.path(), &[], None);
    let said = std::fs::read_to_string(folder.path().join("out")).unwrap();
    let admin_key = printed(&said, "admin key").unwrap();
    let key = printed(&said, "first key").unwrap();
    assert!(said.contains("demo/echo"), "{said}");
    let shown = gateway.ask("GET", "/admin/v1/keys", &admin_key, "");
    assert!(shown.starts_with("HTTP/1.1 200 "), "{shown}");
    let curl = said.lines().find(|line| line.trim().starts_with("curl ")).unwrap();
    assert!(curl.contains(&key) && curl.contains(&gateway.address.to_string()), "{curl}");
    let output = Command::new("sh").args(["-c", curl]).output().unwrap();
    assert!(text(&output.stdout).contains("aeroplane"), "{output:?}");
    assert!(text(&output.stdout).trim().ends_with("data: [DONE]"), "{output:?}");
    gateway.tell(Signal::TERM);
    assert!(gateway.ended().success());

    let gateway = Gateway::start(folder.path(), &[], None);
    let all = std::fs::read_to_string(folder.path().join("out")).unwrap();
    let again = all.strip_prefix(&said).unwrap();
    assert!(!again.contains("ga_") && !again.contains(&key), "{again}");
    assert!(gateway.ask("GET", "/admin/v1/keys", &admin_key, "").starts_with("HTTP/1.1 200 "));
    assert!(gateway.ask("GET", "/admin/v1/keys", &key, "").starts_with("HTTP/1.1 403 "));
    let log = std::fs::read_to_string(folder.path().join("err")).unwrap();
    assert!(!log.contains(&admin_key) && !log.contains(&key), "a secret is in the log: {log}");
    // Nothing that lies on the disk opens anything.
    for file in ["gatelet.db", "gatelet.db-wal"] {
        let bytes = std::fs::read(folder.path().join(".gatelet").join(file)).unwrap_or_default();
        for secret in [&admin_key, &key] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{file}");
        }
    }
}

#[test]
fn a_second_gateway_on_the_same_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Gateway::start(folder.path(), &[], None);
    let second = gatelet(folder.path()).args(["--listen", "127.0.0.1:0"]).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second.stderr).contains("in use by another gatelet"), "{second:?}");
}

#[test]
fn a_stream_finishes_after_sigterm_and_its_record_is_archived() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(folder.path(), &["serve"], None);
    let said = std::fs::read_to_string(folder.path().join("out")).unwrap();
    let key = printed(&said, "first key").unwrap();
    let mut stream = gateway.send("POST", "/v1/chat/completions", &key, SLOW_WORDS);
    let mut answer = vec![0; 20];
    stream.read_exact(&mut answer).unwrap();
    gateway.tell(Signal::TERM);
    stream.read_to_end(&mut answer).unwrap();
    let answer = text(&answer);
    assert!(answer.contains("three") && answer.contains("data: [DONE]"), "{answer}");
    assert!(gateway.ended().success());
    let records = records(&folder.path().join(".gatelet"));
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!(records[0]["outcome"], "done");
}

#[test]
fn no_answered_request_is_without_its_record_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut key = String::new();
    let mut answered: Vec<String> = Vec::new();
    for round in 0..5 {
        let gateway = Gateway::start(folder.path(), &[], None);
        if round == 0 {
            let said = std::fs::read_to_string(folder.path().join("out")).unwrap();
            key = printed(&said, "first key").unwrap();
        }
        for _ in 0..20 {
            let answer = gateway.ask("POST", "/v1/chat/completions", &key, WORDS);
            assert!(answer.contains("data: [DONE]"), "{answer}");
            let id = answer.lines().find_map(|line| line.strip_prefix("x-gatelet-request-id: ")).unwrap();
            answered.push(id.to_owned());
        }
        gateway.tell(Signal::KILL);
        assert_eq!(gateway.ended().code(), None);
    }
    let gateway = Gateway::start(folder.path(), &[], None);
    gateway.tell(Signal::TERM);
    assert!(gateway.ended().success());
    let records = records(&folder.path().join(".gatelet"));
    for id in &answered {
        assert!(records.iter().any(|record| record["id"] == id.as_str()), "{id} has no record");
    }
}

#[test]
fn a_changed_configuration_holds_within_a_second_and_a_wrong_one_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gatelet.yaml");
    std::fs::write(&file, "models:\n  one: demo/echo\n").unwrap();
    let gateway = Gateway::start(folder.path(), &[], None);
    let said = std::fs::read_to_string(folder.path().join("out")).unwrap();
    let key = printed(&said, "first key").unwrap();
    let models = || gateway.ask("GET", "/v1/models", &key, "");
    let until = |wanted: &str| {
        let end = Instant::now() + Duration::from_secs(30);
        while !models().contains(wanted) {
            assert!(Instant::now() < end, "{wanted} does not come: {}", models());
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    until("\"one\"");
    std::fs::write(&file, "models:\n  two: demo/echo\n").unwrap();
    until("\"two\"");
    std::fs::write(&file, "models:\n  three: demo/echo\nnonsense: true\n").unwrap();
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let log = std::fs::read_to_string(folder.path().join("err")).unwrap();
        if log.contains("the old one holds") {
            assert!(log.contains("gatelet.yaml:3: nonsense"), "{log}");
            break;
        }
        assert!(Instant::now() < end, "nobody complains");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(models().contains("\"two\"") && !models().contains("\"three\""));
}

#[test]
fn check_names_file_line_and_key_of_each_fault() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("good.yaml"), "models:\n  mine: demo/echo\n").unwrap();
    std::fs::write(folder.path().join("bad.yaml"), "models:\n  mine: { targets: nowhere/x }\nwrong: 1\n")
        .unwrap();
    let check = |file: &str| gatelet(folder.path()).args(["check", file]).output().unwrap();
    let good = check("good.yaml");
    assert!(good.status.success(), "{good:?}");
    let bad = check("bad.yaml");
    assert_eq!(bad.status.code(), Some(1));
    let said = text(&bad.stderr);
    assert!(said.contains("bad.yaml:2: models.mine"), "{said}");
    assert!(said.contains("bad.yaml:3: wrong"), "{said}");
    let missing = check("missing.yaml");
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).contains("missing.yaml"), "{missing:?}");
}

#[test]
fn keys_are_managed_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(folder.path(), &[], Some(ADMIN_KEY));
    let run = |arguments: &[&str]| gateway.command(folder.path(), arguments);
    let json = |arguments: &[&str]| {
        let output = run(&[&["keys", "--json"], arguments].concat());
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    assert!(text(&run(&["keys", "list"]).stdout).starts_with("No keys yet"));
    let made = json(&[
        "create",
        "--alias",
        "bob",
        "--model",
        "demo/*",
        "--rpm",
        "5",
        "--budget",
        "1 USD / day",
        "--budget",
        "9 USD / month",
        "--tag",
        "blue",
        "--metadata",
        "{\"team\":7}",
    ]);
    assert_eq!(made["limits"], serde_json::json!({"rpm": 5, "budget": ["1 USD / day", "9 USD / month"]}));
    assert_eq!((&made["models"][0], &made["tags"][0]), (&"demo/*".into(), &"blue".into()));
    let id = made["id"].as_str().unwrap();
    let listed = run(&["keys", "list"]);
    assert!(text(&listed.stdout).contains(id) && text(&listed.stdout).contains("bob"), "{listed:?}");

    let changed = json(&["update", id, "--rpm", "", "--parallel", "2", "--model", ""]);
    assert_eq!(changed["limits"]["parallel"], 2);
    assert_eq!(changed["limits"].get("rpm"), None);
    assert_eq!(changed["limits"]["budget"][0], "1 USD / day");
    assert_eq!(changed["models"], Value::Null);
    assert_eq!(changed["alias"], "bob");

    let key = made["key"].as_str().unwrap();
    assert!(gateway.ask("GET", "/v1/models", key, "").starts_with("HTTP/1.1 200 "));
    assert_eq!(json(&["block", id])["state"], "blocked");
    assert!(gateway.ask("GET", "/v1/models", key, "").starts_with("HTTP/1.1 403 "));
    assert_eq!(json(&["unblock", id])["state"], "active");
    let models = gatelet(folder.path())
        .args(["models", "--url", &format!("http://{}", gateway.address), "--key", key])
        .output()
        .unwrap();
    assert_eq!(text(&models.stdout), "demo/echo\n");
    assert_eq!(json(&["revoke", id])["state"], "revoked");
    assert!(gateway.ask("GET", "/v1/models", key, "").starts_with("HTTP/1.1 401 "));
    let shown = run(&["keys", "show", id]);
    assert!(text(&shown.stdout).contains("revoked"), "{shown:?}");

    for (arguments, code) in [
        (vec!["keys", "show", "nobody"], 1),
        (vec!["keys", "unblock", id], 1),
        (vec!["keys", "create", "--budget", "lots"], 1),
        (vec!["keys", "show", "../tick"], 2),
        (vec!["keys", "create", "--rpm", "many"], 2),
        (vec!["keys", "explode"], 2),
        (vec!["--nonsense"], 2),
    ] {
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?} says nothing");
    }
    let nobody =
        gatelet(folder.path()).args(["keys", "list", "--url", "http://127.0.0.1:1"]).output().unwrap();
    assert_eq!(nobody.status.code(), Some(2), "no admin key was given: {nobody:?}");
    let closed = gatelet(folder.path())
        .args(["keys", "list", "--url", "http://127.0.0.1:1", "--admin-key", ADMIN_KEY])
        .output()
        .unwrap();
    assert_eq!(closed.status.code(), Some(1), "{closed:?}");
    assert!(text(&closed.stderr).contains("no answer from http://127.0.0.1:1"), "{closed:?}");
}

#[test]
fn teams_projects_and_users_are_managed_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(folder.path(), &[], Some(ADMIN_KEY));
    let run = |arguments: &[&str]| gateway.command(folder.path(), arguments);
    let json = |arguments: &[&str]| {
        let output = run(&[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    for (one, many) in [("team", "teams"), ("project", "projects"), ("user", "users")] {
        assert_eq!(text(&run(&[many, "list"]).stdout), "None yet.\n");
        let made = json(&[
            many,
            "create",
            "blue",
            "--name",
            "The blue ones",
            "--rpm",
            "1",
            "--budget",
            "1 USD / day",
        ]);
        assert_eq!(made["limits"], serde_json::json!({"rpm": 1, "budget": ["1 USD / day"]}));
        let listed = run(&[many, "list"]);
        assert!(text(&listed.stdout).contains("The blue ones"), "{listed:?}");
        let key = json(&["keys", "create", &format!("--{one}"), "blue"]);
        assert_eq!(key[one], "blue");
        let ask = || {
            let body = r#"{"model":"demo/echo","messages":[{"role":"user","content":"hi"}]}"#;
            gateway.ask("POST", "/v1/chat/completions", key["key"].as_str().unwrap(), body)
        };
        assert!(ask().starts_with("HTTP/1.1 200 "));
        assert!(ask().starts_with("HTTP/1.1 429 "));
        let shown = run(&[many, "show", "blue"]);
        assert!(text(&shown.stdout).contains("1 of 1 used"), "{shown:?}");
        assert_eq!(json(&[many, "update", "blue", "--rpm", ""])["limits"].get("rpm"), None);
        assert!(ask().starts_with("HTTP/1.1 200 "));
        assert_eq!(json(&[many, "block", "blue"])["state"], "blocked");
        assert!(ask().starts_with("HTTP/1.1 403 "));
        assert_eq!(json(&[many, "unblock", "blue"])["state"], "active");
        assert_eq!(
            json(&["keys", "update", key["id"].as_str().unwrap(), &format!("--{one}"), ""])[one],
            Value::Null
        );
        assert_eq!(json(&[many, "delete", "blue"])["state"], "deleted");
        assert!(ask().starts_with("HTTP/1.1 200 "), "the key has left before");
        for (arguments, code) in [
            (vec![many, "show", "nobody"], 1),
            (vec![many, "unblock", "blue"], 1),
            (vec![many, "create", "blue"], 1),
            (vec![many, "show", "../keys"], 2),
            (vec!["keys", "create", &format!("--{one}"), "blue"], 1),
        ] {
            assert_eq!(run(&arguments).status.code(), Some(code), "{arguments:?}");
        }
    }
}

#[test]
fn every_noun_has_the_same_commands_and_lists_are_filtered_and_whole() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(folder.path(), &[], Some(ADMIN_KEY));
    let run = |arguments: &[&str]| gateway.command(folder.path(), arguments);
    let json = |arguments: &[&str]| {
        let output = run(&[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    for many in [
        "orgs",
        "teams",
        "projects",
        "users",
        "members",
        "customers",
        "tags",
        "model-limits",
        "agents",
        "tools",
        "templates",
    ] {
        let id = if many == "members" { "m/m" } else { "m" };
        let made = json(&[many, "create", id, "--name", "One", "--rpm", "7", "--at-limit", "wait 3"]);
        assert_eq!(made["limits"], serde_json::json!({ "rpm": 7, "at_limit": { "wait": 3 } }), "{many}");
        let shown = run(&[many, "show", id]);
        assert!(text(&shown.stdout).contains("0 of 7 used"), "{shown:?}");
        assert_eq!(json(&[many, "update", id, "--set", "name=Two", "--if-version", "1"])["name"], "Two");
        let stale = run(&[many, "update", id, "--name", "Three", "--if-version", "1"]);
        assert_eq!(stale.status.code(), Some(1));
        assert!(text(&stale.stderr).contains("It is version 2, not 1"), "{stale:?}");
        assert_eq!(json(&[many, "block", id])["state"], "blocked");
        let named = |name: &str| run(&[many, "list", "--name", name, "--blocked"]);
        assert!(text(&named("Two").stdout).contains("rpm 7"), "{many}");
        assert_eq!(text(&named("Three").stdout), "None yet.\n", "{many}");
        assert_eq!(json(&[many, "unblock", id])["state"], "active");
    }
    assert_eq!(run(&["teams", "delete", "m"]).status.code(), Some(1), "a member belongs to it");
    assert!(run(&["teams", "delete", "m", "--cascade"]).status.success());

    // More than a page of the API, from a file of more than it takes at a time.
    let items: Vec<Value> =
        (0..130).map(|number| serde_json::json!({ "create": { "id": format!("t{number}") } })).collect();
    std::fs::write(folder.path().join("tags.json"), Value::Array(items).to_string()).unwrap();
    assert_eq!(json(&["tags", "bulk", "tags.json"])["items"].as_array().unwrap().len(), 130);
    let again = run(&["tags", "bulk", "tags.json"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("130 of 130 were refused"), "{again:?}");
    assert_eq!(json(&["tags", "list"])["tags"].as_array().unwrap().len(), 131);
    assert_eq!(json(&["tags", "list", "--shard", "elsewhere"])["tags"], serde_json::json!([]));

    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let words = gatelet(folder.path()).args(["completions", shell]).output().unwrap();
        assert!(words.status.success() && text(&words.stdout).contains("model-limits"), "{shell}: {words:?}");
    }
}

#[test]
fn keys_have_all_their_settings_on_the_command_line_and_their_requests_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let config = "models: { plain: { targets: [ { model: demo/echo, price: { input: \"1\", output: \"1\", per: 1M } } ] } }";
    std::fs::write(folder.path().join("gatelet.yaml"), config).unwrap();
    let gateway = Gateway::start(folder.path(), &[], Some(ADMIN_KEY));
    let run = |arguments: &[&str]| gateway.command(folder.path(), arguments);
    let json = |arguments: &[&str]| {
        let output = run(&[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let made = json(&[
        "keys",
        "create",
        "--alias",
        "all",
        "--route",
        "chat",
        "--source",
        "10.0.0.0/8",
        "--model-limit",
        "plain=rpm:2,budget:1 USD / day",
        "--session-limits",
        "parallel:1",
        "--customers",
        "known",
        "--rotate-every",
        "30d",
        "--aws",
        "--shadow",
    ]);
    assert_eq!(made["model_limits"]["plain"], serde_json::json!({ "rpm": 2, "budget": ["1 USD / day"] }));
    assert_eq!(made["session_limits"], serde_json::json!({ "parallel": 1 }));
    assert_eq!((&made["routes"][0], &made["sources"][0]), (&"chat".into(), &"10.0.0.0/8".into()));
    assert_eq!((&made["customers"]["allow"], &made["rotate_every"]), (&"known".into(), &"30d".into()));
    assert_eq!(made["limits"]["shadow"], true);
    let id = made["id"].as_str().unwrap();
    let rotated = json(&["keys", "rotate", id, "--grace", "1h"]);
    assert!(rotated["key"] != made["key"] && rotated["grace_ends"].is_string());
    let paired = run(&["keys", "pair", id]);
    assert!(text(&paired.stdout).contains("not shown again"), "{paired:?}");
    assert_eq!(json(&["keys", "unpair", id])["aws"], Value::Null);
    let manager = json(&["keys", "create", "--kind", "read_only", "--role", "auditor"]);
    assert_eq!((&manager["kind"], &manager["role"]), (&"read_only".into(), &"auditor".into()));
    assert_eq!(json(&["keys", "list", "--kind", "read_only"])["keys"].as_array().unwrap().len(), 1);
    assert_eq!(json(&["keys", "list", "--alias", "all"])["keys"][0]["id"], id);

    let explained = run(&["explain", "--key", id, "--model", "plain"]);
    assert!(explained.status.success(), "{explained:?}");
    let told = text(&explained.stdout);
    for word in ["demo/echo", "key_model/", "0 of 2 used", "0 spent", "10.0.0.0/8", "ADMITTED"] {
        assert!(told.contains(word), "{word} is not in {told}");
    }
    let from = |address: &str| run(&["explain", "--key", id, "--model", "plain", "--source", address]);
    assert!(from("10.1.2.3").status.success());
    assert_eq!(from("192.0.2.1").status.code(), Some(1));
    std::fs::write(folder.path().join("request.json"), r#"{"model":"nobody","input":"x"}"#).unwrap();
    let asked = ["explain", "--key", id, "--path", "/v1/embeddings", "--request", "request.json"];
    let refused = run(&asked);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stdout).contains("route_forbidden"), "{refused:?}");
    let plain = json(&["keys", "create"]);
    let itself = gatelet(folder.path())
        .args(["explain", "--model", "plain", "--url", &format!("http://{}", gateway.address)])
        .args(["--admin-key", plain["key"].as_str().unwrap()])
        .output()
        .unwrap();
    assert!(itself.status.success(), "{itself:?}");
    for wrong in [
        ["keys", "create", "--model-limit", "rpm"],
        ["keys", "create", "--session-limits", "rpm:many"],
        ["keys", "create", "--set", "alias"],
        ["keys", "create", "--metadata", "[]"],
    ] {
        assert_eq!(run(&wrong).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn prompts_are_written_labelled_and_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(folder.path(), &[], Some(ADMIN_KEY));
    let write = |prompt: &Value| std::fs::write(folder.path().join("p.json"), prompt.to_string()).unwrap();
    let run = |arguments: &[&str]| {
        let output = gateway.command(folder.path(), &[&["prompts"], arguments].concat());
        (output.status.code(), [text(&output.stdout), text(&output.stderr)].concat())
    };
    let says = |words: &str| serde_json::json!({ "messages": [{ "role": "user", "content": words }] });
    write(&says("one"));
    let (code, said) = run(&["create", "hello", "p.json"]);
    assert!(code == Some(0) && said.contains("hello"), "{said}");
    write(&says("two"));
    let (code, said) = run(&["update", "hello", "p.json", "--if-version", "1"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(run(&["update", "hello", "p.json", "--if-version", "1"]).0, Some(1));
    assert_eq!(run(&["label", "hello", "quiet", "1"]).0, Some(0));
    let (_, said) = run(&["list"]);
    assert!(said.contains("quiet=1"), "{said}");
    let (_, said) = run(&["show", "hello", "--version", "quiet"]);
    assert!(said.contains("\"one\"") && !said.contains("\"two\""), "{said}");
    write(&says("{{nobody}}"));
    let (code, said) = run(&["update", "hello", "p.json"]);
    assert!(code == Some(1) && said.contains("nobody"), "{said}");
    assert_eq!(run(&["show", "Hello"]).0, Some(2));
    assert_eq!(run(&["delete", "hello"]).0, Some(0));
    assert_eq!(run(&["show", "hello"]).0, Some(1));
}

#[test]
fn guards_are_held_to_the_cases_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let config = "guards: { pii: { kind: pii, mask: [email] }, stop: { kind: words, words: [falcon] } }";
    std::fs::write(folder.path().join("gatelet.yaml"), config).unwrap();
    let gateway = Gateway::start(folder.path(), &[], Some(ADMIN_KEY));
    let run = |cases: &Value| {
        std::fs::write(folder.path().join("cases.json"), cases.to_string()).unwrap();
        gateway.command(folder.path(), &["guards", "test", "cases.json"])
    };
    let mail =
        |expect: Value| serde_json::json!({ "guard": "pii", "text": "ada@example.com", "expect": expect });
    let good =
        serde_json::json!({ "outcome": "masked", "found": ["email"], "sent": "[EMAIL_1]", "hides": ["ada"] });
    let stop = serde_json::json!({ "guard": "stop", "text": "a falcon", "on": "output", "expect": { "outcome": "blocked" } });
    let output = run(&serde_json::json!([mail(good), stop]));
    assert!(output.status.success(), "{output:?}");
    for (wrong, said) in [
        (serde_json::json!({ "outcome": "passed" }), "it is masked"),
        (serde_json::json!({ "found": [] }), "email"),
        (serde_json::json!({ "sent": "ada@example.com" }), "it would send"),
        (serde_json::json!({ "hides": ["EMAIL"] }), "would be sent"),
    ] {
        let output = run(&serde_json::json!([mail(wrong), stop]));
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(text(&output.stdout).contains(said), "{output:?}");
        assert!(text(&output.stderr).contains("1 of 2"), "{output:?}");
    }
    let nobody = serde_json::json!([{ "guard": "nobody", "text": "a", "expect": {} }]);
    assert_eq!(run(&nobody).status.code(), Some(1));
    assert_eq!(run(&serde_json::json!([{ "guard": "pii" }])).status.code(), Some(2));
}

#[test]
fn targets_are_shown_with_why_they_are_out() {
    let folder = tempfile::tempdir().unwrap();
    // Nobody listens at the port of discarding.
    let config = "
health: { faults: 1, out: 5m }
providers: { nobody: { dialect: openai, base: \"http://127.0.0.1:9/v1\" } }
models: { echo: demo/echo, other: { targets: nobody/other, retries: 0 } }
";
    std::fs::write(folder.path().join("gatelet.yaml"), config).unwrap();
    let gateway = Gateway::start(folder.path(), &[], Some(ADMIN_KEY));
    let run = |arguments: &[&str]| {
        let output = gateway.command(folder.path(), arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        text(&output.stdout).to_owned()
    };
    assert!(run(&["targets"]).contains("a target is known once it was asked"));
    let made = run(&["keys", "create", "--json"]);
    let made: Value = serde_json::from_str(&made).unwrap();
    for (model, status) in [("echo", "200"), ("other", "502")] {
        let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hi"}}]}}"#);
        let answer = gateway.ask("POST", "/v1/chat/completions", made["key"].as_str().unwrap(), &body);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
    let all = run(&["targets"]);
    let line =
        |name: &str| all.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{all}"));
    assert!(line("demo/echo").contains(" in "), "{all}");
    let out = line("nobody/other");
    assert!(out.contains(" out ") && out.contains("network at fault, until 2"), "{all}");
    let only = run(&["targets", "--out"]);
    assert!(only.contains("nobody/other") && !only.contains("demo/echo"), "{only}");
    assert!(!run(&["targets", "ECHO"]).contains("nobody/other"));
    let json: Value = serde_json::from_str(&run(&["targets", "--out", "--json"])).unwrap();
    assert_eq!(
        (&json["targets"][0]["target"], &json["targets"][0]["fault"]),
        (&"nobody/other".into(), &"network".into())
    );
}

#[test]
fn providers_and_models_are_listed_and_searched_without_a_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let said = |arguments: &[&str], success: bool| {
        let output = gatelet(folder.path()).args(arguments).env("GROQ_API_KEY", "k").output().unwrap();
        assert_eq!(output.status.success(), success, "{arguments:?}: {}", text(&output.stderr));
        if success { text(&output.stdout).to_owned() } else { text(&output.stderr).to_owned() }
    };
    let all = said(&["providers"], true);
    assert!(all.lines().count() > 250, "{all}");
    let groq = all.lines().find(|line| line.starts_with("groq ")).unwrap();
    assert!(groq.contains(" GROQ_API_KEY ") && groq.contains("chat"), "{groq}");
    assert!(all.contains("(CEREBRAS_API_KEY)"));
    let one = said(&["providers", "together_ai"], true);
    assert!(one.contains("https://api.together.ai/v1") && one.contains("TOGETHER_API_KEY"), "{one}");
    let json: Value = serde_json::from_str(&said(&["providers", "groq", "--json"], true)).unwrap();
    assert_eq!(json[0]["auth"][0]["set"], true);
    let models = said(&["models", "anthropic/", "opus-5"], true);
    assert!(models.contains("anthropic/claude-opus-5 ") && !models.contains("sonnet"), "{models}");
    let json: Value =
        serde_json::from_str(&said(&["models", "openai/gpt-4o-mini-2024", "--json"], true)).unwrap();
    assert!(json.as_array().unwrap().iter().any(|model| {
        model["id"] == "openai/gpt-4o-mini-2024-07-18" && model["price"][0]["usd"]["input"] == "0.15"
    }));
    assert!(said(&["models", "no-such-model-anywhere"], false).contains("no model has"));
    // What one program knows another can go by.
    said(&["catalogue", "known"], true);
    assert_eq!(said(&["models", "groq/", "--catalogue", "known"], true), said(&["models", "groq/"], true));
    std::fs::write(folder.path().join("damaged"), b"gatecat").unwrap();
    assert!(said(&["models", "--catalogue", "damaged"], false).contains("damaged"));
}

#[test]
fn books_are_shown_compared_and_verified_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(folder.path(), &[], Some(ADMIN_KEY));
    let run = |arguments: &[&str]| gateway.command(folder.path(), arguments);
    assert!(run(&["teams", "create", "search"]).status.success());
    let made = run(&["keys", "create", "--json", "--team", "search", "--tag", "night"]);
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    let key = made["key"].as_str().unwrap();
    for _ in 0..3 {
        assert!(gateway.ask("POST", "/v1/chat/completions", key, WORDS).contains("[DONE]"));
    }
    let compared = run(&["reconcile"]);
    assert!(compared.status.success(), "{compared:?}");
    assert!(text(&compared.stdout).starts_with("3 records, "), "{compared:?}");

    let shown = run(&["spend", "--by", "team,tag", "--only", "team=search"]);
    let lines: Vec<Vec<&str>> =
        text(&shown.stdout).lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0][..4], ["TEAM", "TAG", "COST", "USD"], "{shown:?}");
    assert_eq!(lines[1][..2], ["search", "night"], "{shown:?}");
    assert_eq!(lines[1][3..5], ["3", "3"], "{shown:?}");
    let table = run(&["spend", "--by", "tag", "--csv"]);
    assert!(text(&table.stdout).contains("\r\nnight,3,0,0,0,0,3,"), "{table:?}");
    assert_eq!(run(&["spend", "--only", "search"]).status.code(), Some(2));

    let logged = run(&["logs", "--json", "--only", "tags=night", "--only", "status=200", "--limit", "2"]);
    let ids: Vec<String> = text(&logged.stdout)
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 2, "{logged:?}");
    let none = run(&["logs", "--only", "team=other"]);
    assert_eq!(text(&none.stdout).trim_end().lines().count(), 1, "only the titles: {none:?}");
    let scored = run(&["score", &ids[0], "helpful", "0.5", "--comment", "half"]);
    assert!(scored.status.success(), "{scored:?}");
    let one = run(&["logs", &ids[0]]);
    let one = text(&one.stdout);
    assert!(one.contains("helpful") && one.contains("half") && one.contains("ATTEMPT"), "{one}");
    assert!(!run(&["logs", "req_01m7zzzzzzzzzzzzzzzzzzzzzz"]).status.success());
    assert_eq!(run(&["logs", "--only", "status"]).status.code(), Some(2));

    let verified = run(&["audit", "verify"]);
    assert!(verified.status.success(), "{verified:?}");
    assert!(text(&verified.stdout).starts_with("2 entries"), "{verified:?}");
    let listed = run(&["audit", "list"]);
    assert!(text(&listed.stdout).contains("team/search"), "{listed:?}");

    // Whoever takes away from the archive is found out.
    let archive = folder.path().join(".gatelet/archive");
    std::fs::rename(archive.join("v1"), folder.path().join("away")).unwrap();
    let compared = run(&["reconcile"]);
    assert_eq!(compared.status.code(), Some(1), "{compared:?}");
    assert!(text(&compared.stdout).contains("team/search"), "{compared:?}");
    // And whoever changes an entry in it, leaves one out, or makes one up.
    let pages = files(&archive.join("audit"));
    assert!(!pages.is_empty());
    for page in &pages {
        let packed = std::fs::read(page).unwrap();
        let mut whole = String::new();
        MultiGzDecoder::new(&*packed).read_to_string(&mut whole).unwrap();
        let last = whole.lines().last().unwrap();
        for (changed, told) in [
            (whole.replace("\"verb\":\"create\"", "\"verb\":\"delete\""), "changed"),
            (whole.replace(&format!("{last}\n"), ""), "taken it away"),
            (whole.clone() + &last.replace("\"seq\":", "\"seq\":9") + "\n", "entries are missing"),
        ] {
            assert_ne!(changed, whole, "{whole}");
            let mut anew = GzEncoder::new(Vec::new(), Compression::default());
            anew.write_all(changed.as_bytes()).unwrap();
            std::fs::write(page, anew.finish().unwrap()).unwrap();
            let verified = run(&["audit", "verify"]);
            assert_eq!(verified.status.code(), Some(1), "{verified:?}");
            assert!(text(&verified.stderr).contains(told), "{told}: {verified:?}");
        }
        std::fs::write(page, packed).unwrap();
    }
    assert!(run(&["audit", "verify"]).status.success());
    std::fs::rename(archive.join("audit"), folder.path().join("audit")).unwrap();
    let verified = run(&["audit", "verify"]);
    assert_eq!(verified.status.code(), Some(1), "{verified:?}");
}

#[test]
fn content_that_was_kept_is_not_changed_added_or_taken_away_unseen() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("gatelet.yaml"), "content: full\n").unwrap();
    let gateway = Gateway::start(folder.path(), &[], Some(ADMIN_KEY));
    let run = |arguments: &[&str]| gateway.command(folder.path(), arguments);
    let made = run(&["keys", "create", "--json"]);
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    for _ in 0..3 {
        let answer = gateway.ask("POST", "/v1/chat/completions", made["key"].as_str().unwrap(), WORDS);
        assert!(answer.contains("[DONE]"), "{answer}");
    }
    let verified = run(&["audit", "verify"]);
    assert!(verified.status.success(), "{verified:?}");
    let told = text(&verified.stdout);
    assert!(told.contains("3 entries of content, unchanged"), "{told}");
    assert!(
        told.ends_with("3 contents, unchanged; 0 were deleted on request and 0 for their age\n"),
        "{told}"
    );

    let archive = folder.path().join(".gatelet/archive");
    let holds = |file: &Path, edit: &dyn Fn(&str) -> String, why: &str| {
        let packed = std::fs::read(file).unwrap();
        let mut whole = String::new();
        MultiGzDecoder::new(&*packed).read_to_string(&mut whole).unwrap();
        let changed = edit(&whole);
        assert_ne!(changed, whole);
        let mut anew = GzEncoder::new(Vec::new(), Compression::default());
        anew.write_all(changed.as_bytes()).unwrap();
        std::fs::write(file, anew.finish().unwrap()).unwrap();
        let verified = run(&["audit", "verify"]);
        assert_eq!(verified.status.code(), Some(1), "{why}: {verified:?}");
        assert!(text(&verified.stderr).contains(why), "{why}: {verified:?}");
        std::fs::write(file, packed).unwrap();
    };
    let first = |whole: &str| whole.lines().next().unwrap_or_default().to_owned() + "\n";
    for file in files(&archive.join("content")) {
        holds(&file, &|whole| whole.replacen("one two", "one too", 1), "is not what was kept");
        holds(&file, &|whole| whole.replacen(&first(whole), "", 1), "is missing");
        let another = |whole: &str| whole.to_owned() + &first(whole).replacen("req_", "req_0", 1);
        holds(&file, &another, "that nobody has kept");
    }
    for file in files(&archive.join("content-audit")) {
        let hash = |whole: &str| whole.replacen("\"sha256\":\"", "\"sha256\":\"0", 1);
        holds(&file, &hash, "somebody has changed one of them");
        holds(&file, &|whole| whole.replacen(&first(whole), "", 1), "is not in the archive");
    }
    assert!(run(&["audit", "verify"]).status.success());
}

/// Rows of their database become teams and keys; what callers hold goes on opening them.
#[test]
fn rows_of_litellm_are_imported_and_their_keys_go_on_working() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("gatelet.yaml"), "imported_keys: true\n").unwrap();
    let rows = r#"{"LiteLLM_TeamTable":[{"team_id":"t-1","team_alias":"Search","max_budget":5.0,"spend":1.5,"models":[],"blocked":false}],
      "LiteLLM_EndUserTable":[{"user_id":"ada","blocked":false,"spend":2.0,"budget_reset_at":"2026-01-01 00:00:00"}],
      "LiteLLM_VerificationToken":[{"token":"dd65e03569cfa4fa17f41cc914529f60fa210b46a7ee8647c7c2f1ed5844a3ea","key_alias":"old","team_id":"t-1","expires":"2099-01-01 00:00:00",
      "models":["demo/*"],"metadata":"{\"a\": 1}","router_settings":{"num_retries":1}}]}"#;
    std::fs::write(folder.path().join("rows.json"), rows).unwrap();
    let gateway = Gateway::start(folder.path(), &[], Some(ADMIN_KEY));
    let import = || {
        let mut command = gatelet(folder.path());
        command.args(["import", "litellm-rows", "rows.json", "--admin-key", ADMIN_KEY, "--url"]);
        command.arg(format!("http://{}", gateway.address)).output().unwrap()
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let first = import();
    let (out, told) = (text(&first.stdout), text(&first.stderr));
    assert!(first.status.success(), "{out}{told}");
    assert_eq!(out, "made 1 customers\nmade 1 keys\nmade 1 teams\n");
    assert!(told.contains("customers.spend of 1 rows: their budgets have renewed since"), "{told}");
    assert!(told.contains("keys.router_settings of 1 rows"), "{told}");
    let body = r#"{"model":"demo/echo","messages":[{"role":"user","content":"hello"}]}"#;
    let answer = gateway.ask("POST", "/v1/chat/completions", "sk-1234567890abcdef", body);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let again = import();
    assert!(again.status.success(), "{}", text(&again.stderr));
    assert_eq!(
        text(&again.stdout),
        "1 customers were there already\n1 keys were there already\n1 teams were there already\n"
    );
    // What was spent there is spent, once, and the archive need not know of it.
    let shown = gateway.command(folder.path(), &["teams", "show", "t-1", "--json"]);
    let team: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!((&team["opening"], &team["usage"]["spent"]), (&"1.5".into(), &"1.5".into()), "{team}");
    let compared = gateway.command(folder.path(), &["reconcile"]);
    assert!(compared.status.success(), "{compared:?}");
}
