//! Starts of the Lambda function, without Lambda: from the fork until it asks for its first invocation.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::Wish;
use super::machine::{Core, Process, description, memory, on};
use super::table::{markdown, median};
use crate::project::target;
use crate::size;

/// Starts in a round.
const STARTS: usize = 10;
const LONGEST: Duration = Duration::from_secs(10);

pub(super) fn run(wish: &Wish) -> Result<()> {
    let program = size::built("gatelet-lambda", "lambda", "bootstrap")?;
    let log = target().join("bench-lambda.log");
    let (mut starts, mut sizes) = (Vec::new(), Vec::new());
    for _ in 0..STARTS * wish.rounds {
        let (took, size) = start(&program, &log).with_context(|| log.display().to_string())?;
        starts.push(took.as_secs_f64() * 1e3);
        sizes.push(size);
    }
    let least = starts.iter().copied().fold(f64::INFINITY, f64::min);
    let row = |what: &str, figure: f64, target: &str| {
        vec![what.to_owned(), format!("{figure:.1}"), target.to_owned()]
    };
    let rows = [
        row("spawn to first poll, median ms", median(&starts), "<= 30"),
        row("spawn to first poll, least ms", least, ""),
        row("memory then, MiB", median(&sizes), ""),
    ];
    println!("\n{}", markdown(&["", "gatelet", "target"], &rows));
    println!("{}; {} starts", description(), starts.len());
    Ok(())
}

/// How long one start took, and the memory that the process then had.
fn start(program: &Path, log: &Path) -> Result<(Duration, f64)> {
    let service = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    service.set_nonblocking(true)?;
    let mut command = on(Core::Measured, program);
    command
        .env("AWS_LAMBDA_RUNTIME_API", service.local_addr()?.to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", "gatelet")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "bench")
        .env("AWS_SECRET_ACCESS_KEY", "bench")
        .env("GATELET_TABLE", "bench")
        .env("GATELET_BUCKET", "bench")
        .env("GATELET_ADMIN_KEY", super::server::ADMIN_KEY);
    let began = Instant::now();
    let function = Process::start(&mut command, log, "KILL")?;
    let mut connections = Vec::new();
    loop {
        match service.accept() {
            Ok((connection, _)) => {
                connection.set_nonblocking(true)?;
                connections.push((connection, Vec::new()));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        for (connection, heard) in &mut connections {
            if polls(connection, heard)? {
                return Ok((began.elapsed(), memory(function.id())?.0));
            }
        }
        if began.elapsed() > LONGEST {
            bail!("it did not ask for an invocation within {LONGEST:?}");
        }
        std::thread::sleep(Duration::from_micros(50));
    }
}

/// Reads what came, answers a registration for the events of the sandbox, and says whether an invocation was asked for.
fn polls(connection: &mut TcpStream, heard: &mut Vec<u8>) -> Result<bool> {
    let mut bytes = [0; 4096];
    match connection.read(&mut bytes) {
        Ok(count) => heard.extend_from_slice(&bytes[..count]),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        Err(error) => return Err(error.into()),
    }
    let text = String::from_utf8_lossy(heard);
    if text.contains("/runtime/invocation/next ") {
        return Ok(true);
    }
    if text.contains("/extension/register ") && text.contains("\r\n\r\n{") {
        heard.clear();
        let body = r#"{"functionName":"gatelet","functionVersion":"$LATEST","handler":"bootstrap"}"#;
        write!(
            connection,
            "HTTP/1.1 200 OK\r\nlambda-extension-identifier: bench\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )?;
    }
    Ok(false)
}
