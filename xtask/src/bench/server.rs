//! The server beside the floor.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use flate2::bufread::MultiGzDecoder;

use super::Wish;
use super::load::{Generator, Seen};
use super::machine::{Core, Process, at, description, free_port, memory, on};
use super::table::{markdown, median};
use crate::project::{cargo, run as finish, target};

pub(super) const ADMIN_KEY: &str = "bench-admin-key-of-some-length";
/// After this no further round begins, so that a slow machine is measured less, not longer.
const ENOUGH: Duration = Duration::from_secs(170);

/// What is measured in every round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Measure {
    /// Whole answers, as fast as 64 connections ask.
    Whole,
    /// Whole answers at a rate that keeps nobody busy.
    Calm,
    /// 500 chunks an answer, as fast as they come.
    Streams,
    /// Few streams, their chunks 5 ms apart.
    First,
    /// Questions of 200 KB.
    Large,
    /// The caller speaks the dialect of `OpenAI`, the upstream that of Anthropic.
    Translated,
    TranslatedStreams,
    /// The same question again and again, whose answer is kept.
    Kept,
}

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    /// The upstream itself.
    Direct,
    Floor,
    Gatelet,
}

const CHUNKS: f64 = 500.0;

const MEASURES: [(Measure, &[Side], &str); 8] = [
    (
        Measure::Whole,
        &[Side::Floor, Side::Gatelet],
        "model=bench/chat connections=64 requests=50000 seconds=12",
    ),
    (
        Measure::Calm,
        &[Side::Direct, Side::Floor, Side::Gatelet],
        "model=bench/chat connections=8 rate=200 seconds=3",
    ),
    (
        Measure::Streams,
        &[Side::Floor, Side::Gatelet],
        "model=bench/chunks-500-0 stream=1 connections=64 requests=256 seconds=15",
    ),
    (
        Measure::First,
        &[Side::Direct, Side::Floor, Side::Gatelet],
        "model=bench/chunks-20-5000 stream=1 connections=16 rate=50 seconds=3",
    ),
    (
        Measure::Large,
        &[Side::Floor, Side::Gatelet],
        "model=bench/chat pad=200000 connections=4 requests=1500 seconds=8",
    ),
    (Measure::Translated, &[Side::Gatelet], "model=claude/chat connections=64 requests=25000 seconds=10"),
    (
        Measure::TranslatedStreams,
        &[Side::Gatelet],
        "model=claude/chunks-500-0 stream=1 connections=64 requests=192 seconds=12",
    ),
    (Measure::Kept, &[Side::Gatelet], "model=kept/chat connections=64 requests=50000 seconds=12"),
];

type Samples = BTreeMap<(Measure, Side), Vec<Seen>>;

pub(super) fn run(wish: &Wish) -> Result<()> {
    let programs = Programs::build()?;
    let folder = target().join("bench-run");
    // What an earlier run left.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    let stand = Stand::start(&programs, &folder)?;
    let idle = stand.memory()?;

    let began = Instant::now();
    let mut samples = Samples::new();
    let mut rounds = 0;
    while rounds < wish.rounds && (rounds == 0 || began.elapsed() < ENOUGH) {
        for (measure, sides, settings) in MEASURES {
            // Who comes first changes, so that nobody always has the quieter moment.
            for place in 0..sides.len() {
                let side = sides[(place + rounds) % sides.len()];
                let seen = stand.measure(side, settings).with_context(|| format!("{measure:?}, {side:?}"))?;
                samples.entry((measure, side)).or_default().push(seen);
            }
        }
        rounds += 1;
        eprintln!("round {rounds} of {} after {} s", wish.rounds, began.elapsed().as_secs());
    }
    let loaded = stand.memory()?;
    let mut rows = rows(&samples);
    rows.push(stand.memory_row("memory when idle, MiB", idle, "<= 12 MiB"));
    rows.push(stand.memory_row("memory after this load, MiB", loaded, ""));
    if wish.long {
        rows.extend(stand.long(&folder.join("data/archive"))?);
    }
    rows.push(vec![
        "start to first answer, ms".to_owned(),
        String::new(),
        format!("{:.0}", median(&stand.starts)),
        String::new(),
        "<= 50 ms".to_owned(),
    ]);
    println!("\n{}", markdown(&["", "floor", "gatelet", "", "target"], &rows));
    println!("{}; medians of {rounds} rounds; {}", description(), disturbance(&samples));
    drop(stand);
    fs::remove_dir_all(&folder).context("bench-run")
}

/// How much of the machine others had.
fn disturbance(samples: &Samples) -> String {
    let foreign: Vec<f64> = samples.values().flatten().map(|seen| seen.foreign).collect();
    let most = foreign.iter().copied().fold(0.0, f64::max);
    format!("others kept {:.2} processors busy meanwhile (at most {most:.2})", median(&foreign))
}

fn rows(samples: &Samples) -> Vec<Vec<String>> {
    use Measure::{Calm, First, Kept, Large, Streams, Translated, TranslatedStreams, Whole};
    let all = |measure, side, figure: fn(&Seen) -> f64| -> Vec<f64> {
        samples.get(&(measure, side)).map_or_else(Vec::new, |seen| seen.iter().map(figure).collect())
    };
    let ratio = |what: &str, floor: Measure, gatelet: Measure, figure: fn(&Seen) -> f64, target: &str| {
        let (floor, own) = (all(floor, Side::Floor, figure), all(gatelet, Side::Gatelet, figure));
        let ratios: Vec<f64> = floor.iter().zip(&own).map(|(floor, own)| own / floor).collect();
        vec![
            what.to_owned(),
            format!("{:.1}", median(&floor)),
            format!("{:.1}", median(&own)),
            format!("{:.2}x", median(&ratios)),
            target.to_owned(),
        ]
    };
    let added = |what: &str, measure: Measure, figure: fn(&Seen) -> f64, target: &str| {
        let direct = all(measure, Side::Direct, figure);
        let over = |side| {
            let own = all(measure, side, figure);
            median(&own.iter().zip(&direct).map(|(own, direct)| (own - direct) / 1e3).collect::<Vec<_>>())
        };
        let (floor, own) = (over(Side::Floor), over(Side::Gatelet));
        vec![
            what.to_owned(),
            format!("{floor:.2}"),
            format!("{own:.2}"),
            format!("{:+.2}", own - floor),
            target.to_owned(),
        ]
    };
    let request: fn(&Seen) -> f64 = |seen| seen.cpu / seen.done;
    let chunk: fn(&Seen) -> f64 = |seen| seen.cpu / (seen.done * CHUNKS);
    vec![
        ratio("CPU a request, µs", Whole, Whole, request, "<= 2.00x"),
        ratio("CPU a request that the cache answers, µs", Whole, Kept, request, "<= 80 µs"),
        ratio("requests/s on one core, 64 callers", Whole, Whole, |seen| seen.done / seen.seconds, ""),
        added("added at 200 requests/s, p50 ms", Calm, |seen| seen.p50, ""),
        added("added at 200 requests/s, p99 ms", Calm, |seen| seen.p99, ""),
        added("added until the first chunk, p50 ms", First, |seen| seen.first50, "<= +0.10"),
        added("added until the first chunk, p99 ms", First, |seen| seen.first99, "<= +0.30"),
        added("added until the first words, p50 ms", First, |seen| seen.words50, "<= +0.10"),
        added("added until the first words, p99 ms", First, |seen| seen.words99, "<= +0.30"),
        ratio("CPU a chunk, µs", Streams, Streams, chunk, ""),
        ratio("CPU a request of 200 KB, µs", Large, Large, request, ""),
        ratio("CPU a request, OpenAI to Anthropic, µs", Whole, Translated, request, ""),
        ratio("CPU a chunk, OpenAI to Anthropic, µs", Streams, TranslatedStreams, chunk, ""),
    ]
}

pub(super) struct Programs {
    gatelet: PathBuf,
    pub(super) bench: PathBuf,
}

impl Programs {
    /// `GATELET_BIN` names another gatelet than that of this tree.
    pub(super) fn build() -> Result<Self> {
        // One after the other, so that neither is built with the features that the other needs.
        let built = |package: &str| -> Result<PathBuf> {
            finish(cargo().args(["build", "--release", "--package", package, "--target-dir"]).arg(target()))?;
            Ok(target().join("release").join(package))
        };
        let gatelet = std::env::var_os("GATELET_BIN").map(PathBuf::from);
        Ok(Self { gatelet: gatelet.map_or_else(|| built("gatelet"), Ok)?, bench: built("gatelet-bench")? })
    }
}

/// Everything that runs, ready to be asked.
struct Stand {
    gatelet: Process,
    floor: Process,
    generator: Generator,
    key: String,
    ports: Ports,
    /// Milliseconds of several starts, from the fork to the first bytes of an answer.
    starts: Vec<f64>,
    _mock: Process,
}

#[derive(Clone, Copy)]
struct Ports {
    mock: u16,
    floor: u16,
    gatelet: u16,
}

impl Stand {
    fn start(programs: &Programs, folder: &Path) -> Result<Self> {
        let ports = Ports { mock: free_port()?, floor: free_port()?, gatelet: free_port()? };
        let wait = Duration::from_secs(20);
        let (mock_port, floor_port) = (ports.mock.to_string(), ports.floor.to_string());
        let mut mock = Process::start(
            on(Core::Load, &programs.bench).args(["mock", &mock_port]),
            &folder.join("mock.log"),
            "TERM",
        )?;
        mock.until_listening(at(ports.mock), wait).context("the mock")?;
        let mut floor = Process::start(
            on(Core::Measured, &programs.bench).args(["floor", &floor_port, &mock_port]),
            &folder.join("floor.log"),
            "TERM",
        )?;
        floor.until_listening(at(ports.floor), wait).context("the floor")?;

        fs::write(folder.join("gatelet.yaml"), config(ports.mock))?;
        let key = {
            let _first = gatelet(programs, folder, ports)?;
            create_key(programs, ports.gatelet)?
        };
        let mut starts = Vec::new();
        for _ in 0..5 {
            let began = Instant::now();
            let _started = gatelet(programs, folder, ports)?;
            first_answer(at(ports.gatelet), &key)?;
            starts.push(began.elapsed().as_secs_f64() * 1e3);
        }
        let gatelet = gatelet(programs, folder, ports)?;
        first_answer(at(ports.gatelet), &key)?;
        first_answer(at(ports.floor), &key)?;
        std::thread::sleep(Duration::from_millis(1_500));
        let generator = Generator { program: programs.bench.clone(), mock: mock.id() };
        Ok(Self { gatelet, floor, generator, key, ports, starts, _mock: mock })
    }

    fn measure(&self, side: Side, settings: &str) -> Result<Seen> {
        let (port, process) = match side {
            Side::Direct => (self.ports.mock, self.generator.mock),
            Side::Floor => (self.ports.floor, self.floor.id()),
            Side::Gatelet => (self.ports.gatelet, self.gatelet.id()),
        };
        let mut settings: Vec<String> = settings.split(' ').map(str::to_owned).collect();
        settings.extend([format!("address={}", at(port)), format!("key={}", self.key)]);
        self.generator.run(process, &settings)
    }

    /// Resident memory of floor and gateway: all, and what is not backed by files.
    fn memory(&self) -> Result<[(f64, f64); 2]> {
        Ok([memory(self.floor.id())?, memory(self.gatelet.id())?])
    }

    #[expect(clippy::unused_self, reason = "it belongs to the rows about memory")]
    fn memory_row(&self, what: &str, memory: [(f64, f64); 2], target: &str) -> Vec<String> {
        let show = |(all, own): (f64, f64)| format!("{all:.1} ({own:.1})");
        let [floor, gatelet] = memory;
        vec![format!("{what} (not of files)"), show(floor), show(gatelet), String::new(), target.to_owned()]
    }

    /// A million requests, the memory on the way, and that all of them are in the archive.
    fn long(&self, archive: &Path) -> Result<Vec<Vec<String>>> {
        let (mut rows, before, mut asked, mut seconds) = (Vec::new(), requests_in(archive)?, 0.0, 0.0);
        for tenth in 1..=10 {
            // A busy machine needs more than one run for them, however long that takes.
            let mut left = 100_000.0;
            while left > 0.0 {
                let settings = format!("model=bench/chat connections=64 requests={left:.0} seconds=60");
                let began = Instant::now();
                let seen = self.measure(Side::Gatelet, &settings)?;
                // With the time that it took until there was nothing left to do.
                (asked, seconds) = (asked + seen.done, seconds + began.elapsed().as_secs_f64());
                left -= seen.done;
            }
            let memory = self.memory()?;
            eprintln!("{}00,000 requests: {:.1} MiB", tenth, memory[1].0);
            if [1, 5, 10].contains(&tenth) {
                let target = if tenth == 10 { "flat" } else { "" };
                rows.push(self.memory_row(
                    &format!("memory {tenth}00,000 requests later, MiB"),
                    memory,
                    target,
                ));
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "some millions")]
        let archived = (requests_in(archive)? - before) as f64;
        ensure!((archived - asked).abs() < 0.5, "{asked} were answered, and {archived} are in the archive");
        let row = [
            "records a second into one archive".to_owned(),
            String::new(),
            format!("{:.0}", archived / seconds),
        ];
        rows.push(row.into_iter().chain([String::new(), ">= 5,000".to_owned()]).collect());
        Ok(rows)
    }
}

/// How many requests stand in an archive.
fn requests_in(folder: &Path) -> Result<u64> {
    let mut count = 0;
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            count += requests_in(&path)?;
        } else if path.extension().is_some_and(|extension| extension == "gz") {
            let lines = BufReader::new(MultiGzDecoder::new(BufReader::new(fs::File::open(&path)?))).lines();
            for line in lines {
                count += u64::from(line?.contains(r#""kind":"request""#));
            }
        }
    }
    Ok(count)
}

/// Two providers that are the mock, with prices, so that budgets apply.
pub(super) fn config(mock: u16) -> String {
    format!(
        r#"providers:
  bench: {{ dialect: openai, base: "http://127.0.0.1:{mock}/v1", key: upstream-key-of-the-bench }}
  claude: {{ dialect: anthropic, base: "http://127.0.0.1:{mock}", key: upstream-key-of-the-bench }}
models:
  "bench/*": {{ targets: [{{ model: bench/*, price: {{ input: "0.15", output: "0.60" }} }}] }}
  "claude/*": {{ targets: [{{ model: claude/*, price: {{ input: "1", output: "5" }} }}] }}
  "kept/*": {{ targets: [{{ model: bench/*, price: {{ input: "0.15", output: "0.60" }} }}], cache: 1d }}
"#
    )
}

fn gatelet(programs: &Programs, folder: &Path, ports: Ports) -> Result<Process> {
    let mut command = on(Core::Measured, &programs.gatelet);
    command.arg("serve").arg("--config").arg(folder.join("gatelet.yaml"));
    command.arg("--data").arg(folder.join("data")).args(["--listen", &at(ports.gatelet).to_string()]);
    command.env("GATELET_ADMIN_KEY", ADMIN_KEY);
    let log = folder.join("gatelet.log");
    let mut process = Process::start(&mut command, &log, "TERM")?;
    let listening = process.until_listening(at(ports.gatelet), Duration::from_secs(20));
    listening.with_context(|| format!("gatelet:\n{}", fs::read_to_string(&log).unwrap_or_default()))?;
    Ok(process)
}

/// A virtual key with every kind of limit, none of which the bench reaches.
pub(super) fn create_key(programs: &Programs, port: u16) -> Result<String> {
    let output = Command::new(&programs.gatelet)
        .args(["keys", "create", "--json", "--url", &format!("http://{}", at(port))])
        .args(["--alias", "bench", "--tag", "bench", "--rpm", "1000000000", "--tpm", "1000000000000"])
        .args(["--parallel", "100000", "--model", "bench/*", "--model", "claude/*", "--model", "kept/*"])
        .args(["--budget", "1000000 USD / day", "--budget", "10000000 USD / month"])
        .env("GATELET_ADMIN_KEY", ADMIN_KEY)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let key = text.split('"').find(|word| word.starts_with("gk_"));
    key.map(str::to_owned)
        .with_context(|| format!("no key was made: {text}{}", String::from_utf8_lossy(&output.stderr)))
}

/// Asks once, without the generator, whose own start would count.
pub(super) fn first_answer(address: SocketAddr, key: &str) -> Result<()> {
    let body = r#"{"model":"bench/chat","messages":[{"role":"user","content":"Say hello."}]}"#;
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(
        stream,
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    if !head.ends_with(b" 200") {
        let mut rest = [0; 1_000];
        let read = stream.read(&mut rest).unwrap_or(0);
        bail!(
            "the first answer: {}{}",
            String::from_utf8_lossy(&head),
            String::from_utf8_lossy(&rest[..read])
        );
    }
    Ok(())
}
