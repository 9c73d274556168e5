//! What all guards on board cost together, on one text as the gateway judges it.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use gatelet_core::guard::{Case, Duty, Guard};
use gatelet_core::policy::{Host, Policy};
use gatelet_core::registry::Registry;
use gatelet_wire::{DialectId, chat};
use serde_json::json;

/// Prose about programs: half of it English, half of it Rust.
const TEXTS: [&str; 2] =
    [include_str!("../../../core/ARCHITECTURE.md"), include_str!("../../../core/src/guard/stream.rs")];

/// Everything that needs no service, each as an admin would write it.
const GUARDS: &str = r"
guards:
  personal: { kind: pii, mode: flag, for: all }
  secrets: { kind: secrets, mode: flag, for: all }
  injection: { kind: injection, mode: flag, for: all }
  staff: { kind: regex, mode: flag, for: all, patterns: { staff: 'EMP-[0-9]{5}', case: '(?i)case no\. ?[0-9]{4}/[0-9]{2}' } }
  rivals: { kind: words, mode: flag, for: all, words: [initech, globex, hooli, umbrella corporation, stark industries] }
  long: { kind: length, mode: flag, for: all, most: 10000000 }
  tools: { kind: tools, mode: flag, for: all, rules: [ { tool: shell, permit: deny } ] }
";

fn guards() -> Vec<Arc<Guard>> {
    let host = Host { variable: &|_| None, ollama: false, registry: Registry::default() };
    let policy = Policy::read("guards.yaml", GUARDS, &host);
    policy.map(|policy| policy.guards().iter().cloned().collect()).unwrap_or_default()
}

fn asked(text: &str) -> Option<chat::Request> {
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": text }] });
    DialectId::Openai.dialect().read_request(body.to_string().as_bytes()).ok()
}

/// Lets all judge one request. Nothing blocks, so nobody is spared.
fn judge(guards: &[Arc<Guard>], request: &mut chat::Request) -> bool {
    let mut case = Case::new(guards, |_| Duty::Judges);
    let _unchanged = case.request(request);
    case.blocked().is_none() && !case.notes().is_empty()
}

/// Judges the texts once.
pub(crate) fn once() -> ExitCode {
    static READY: std::sync::OnceLock<(Vec<Arc<Guard>>, Vec<chat::Request>)> = std::sync::OnceLock::new();
    let (guards, requests) = READY.get_or_init(|| (guards(), TEXTS.into_iter().filter_map(asked).collect()));
    let fine = !guards.is_empty() && requests.len() == TEXTS.len();
    let fine = fine && requests.iter().all(|request| judge(guards, &mut request.clone()));
    if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints microseconds of the processor a KB of each guard, of all together, and of all on the texts that [`once`] judges.
pub(crate) fn speed(text: &str) {
    let all = guards();
    let time = |name: &str, guards: &[Arc<Guard>], text: &str| {
        let Some(mut request) = asked(text) else { return };
        let clock = Clock::start();
        let mut bytes = 0;
        // The system counts a processor's time by ticks: some dozens are enough.
        while bytes == 0 || clock.micros() < 100_000.0 {
            std::hint::black_box(judge(guards, &mut request));
            bytes += text.len();
        }
        #[expect(clippy::cast_precision_loss, reason = "sizes of files")]
        let each = clock.micros() / (bytes as f64 / 1024.0);
        println!("{}", json!({ "guard": name, "each": each }));
    };
    for guard in &all {
        time(&guard.name, std::slice::from_ref(guard), text);
    }
    time("all", &all, text);
    time("all, of the text that wasm judges", &all, &TEXTS.concat());
}

/// Time of the processor where the system tells it, so that others on the machine count less; else that of the clock.
struct Clock {
    began: Instant,
    spent: Option<f64>,
}

impl Clock {
    fn start() -> Self {
        Self { began: Instant::now(), spent: Self::spent() }
    }

    fn micros(&self) -> f64 {
        let spent = Self::spent().zip(self.spent).map(|(now, before)| now - before);
        spent.unwrap_or_else(|| self.began.elapsed().as_secs_f64() * 1e6)
    }

    /// Linux: nanoseconds on a processor are the first figure.
    fn spent() -> Option<f64> {
        let told = std::fs::read_to_string("/proc/self/schedstat").ok()?;
        let nanos: f64 = told.split_ascii_whitespace().next()?.parse().ok()?;
        Some(nanos / 1e3)
    }
}
