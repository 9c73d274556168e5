//! Processes that are measured: started on a core, read from `/proc`, ended for certain.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// Which processors who gets: the load and the upstream the first one, what is measured the second.
#[derive(Clone, Copy, Debug)]
pub(super) enum Core {
    Load,
    Measured,
}

/// Whether processes can be pinned: there is `taskset`, and more than one processor.
pub(super) fn pins() -> bool {
    let several = std::thread::available_parallelism().is_ok_and(|count| count.get() > 1);
    several && Command::new("taskset").arg("--version").stdout(Stdio::null()).status().is_ok()
}

/// A command that runs on a core of its own, where that is possible.
pub(super) fn on(core: Core, program: &Path) -> Command {
    if !pins() {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    let core = match core {
        Core::Load => "0",
        Core::Measured => "1",
    };
    // It becomes the program, so that the process id is the program's.
    command.args(["-c", core]).arg(program);
    command
}

/// A running process and those that it starts; dropping ends them.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    signal: &'static str,
}

impl Process {
    /// `log` takes what it prints. `signal` is the one that it ends well on.
    pub(super) fn start(command: &mut Command, log: &Path, signal: &'static str) -> Result<Self> {
        let file = fs::File::options().create(true).append(true).open(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0)
            .spawn()
            .with_context(|| format!("could not start {}", command.get_program().display()))?;
        Ok(Self { child, signal })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it takes connections.
    pub(super) fn until_listening(&mut self, address: SocketAddr, within: Duration) -> Result<()> {
        let end = Instant::now() + within;
        while TcpStream::connect(address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}");
            }
            if Instant::now() > end {
                bail!("nothing listens on {address} after {within:?}");
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        Ok(())
    }

    pub(super) fn stop(&mut self) {
        let group = format!("-{}", self.child.id());
        for (signal, patience) in [(self.signal, 500), ("KILL", 100)] {
            let _ = Command::new("kill").args(["-s", signal, "--", &group]).stderr(Stdio::null()).status();
            for _ in 0..patience {
                if !matches!(self.child.try_wait(), Ok(None)) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.stop();
        }
    }
}

/// A loopback port that was free a moment ago.
pub(super) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// The length of a tick of `/proc`'s clocks: Linux shows user programs hundredths of a second on every architecture.
const TICK_MICROS: f64 = 10_000.0;

/// Processor time of a process in microseconds, user and system, ended threads included.
pub(super) fn cpu_micros(process: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).context("the process is gone")?;
    // The second field is a name in brackets, with whatever in it.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks =
        |field: usize| fields.get(field).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or(f64::NAN);
    Ok((ticks(11) + ticks(12)) * TICK_MICROS)
}

/// Processor time of a process's living threads in microseconds, as fine as the kernel counts.
pub(super) fn running_micros(process: u32) -> f64 {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let nanos = threads.filter_map(|thread| {
        let stat = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        stat.split(' ').next()?.parse::<f64>().ok()
    });
    nanos.sum::<f64>() / 1e3
}

/// Processor time of the whole machine in microseconds, idle time not counted.
pub(super) fn machine_micros() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = stat.lines().next().unwrap_or_default().split_whitespace().skip(1);
    let ticks: Vec<f64> = fields.filter_map(|ticks| ticks.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guest time is in user already.
    let busy = [0, 1, 2, 5, 6, 7].iter().filter_map(|place| ticks.get(*place)).sum::<f64>();
    busy * TICK_MICROS
}

/// Resident memory in MiB: all of it, and what is not backed by files (the program's own text is).
pub(super) fn memory(process: u32) -> Result<(f64, f64)> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).context("the process is gone")?;
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(f64::NAN)
    };
    Ok((kib("VmRSS:") / 1024.0, kib("RssAnon:") / 1024.0))
}

/// Who ran, and when.
pub(super) fn description() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu =
        cpu.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split(": ").nth(1));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let date = Command::new("date").args(["-u", "+%Y-%m-%d"]).output();
    let date =
        date.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    let layout = if pins() { "load on core 0, measured on core 1" } else { "not pinned" };
    format!("{date}, {cores} x {}, Linux {}, {layout}", cpu.unwrap_or("unknown processor"), kernel.trim())
}

pub(super) fn at(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Processes of this name among the descendants of a process.
pub(super) fn programs_below(process: u32, name: &str) -> Vec<u32> {
    let mut found = Vec::new();
    let mut left = vec![process];
    while let Some(parent) = left.pop() {
        let threads = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
        for thread in threads {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            left.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
        if fs::read_to_string(format!("/proc/{parent}/comm")).is_ok_and(|found| found.trim() == name) {
            found.push(parent);
        }
    }
    found
}

/// Whether a process listens on this port of 127.0.0.1.
pub(super) fn listens_on(process: u32, port: u16) -> bool {
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let local = format!("0100007F:{port:04X}");
    // Fields: number, local address, remote address, state (0A: it listens), …, and the inode as the tenth.
    let inode = table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        (fields.get(1) == Some(&local.as_str()) && fields.get(3) == Some(&"0A"))
            .then(|| fields.get(9).map(|inode| format!("socket:[{inode}]")))?
    });
    let Some(inode) = inode else { return false };
    let descriptors = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    descriptors
        .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
        .any(|link| link.as_os_str() == inode.as_str())
}
