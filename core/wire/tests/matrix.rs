//! The golden matrix, counted: how many situations of each dialect were written, and read again, in each other.
//!
//! What exactly was written is in the snapshots beside the fixtures (`golden.rs`). This prints the table, and fails
//! where a pair has too few: `cargo test -p gatelet-wire --test matrix`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a table for people")]

#[path = "support/mod.rs"]
mod support;

use std::process::ExitCode;

use gatelet_wire::dialect::Reading;
use gatelet_wire::{DialectId, Loss};
use support::{Fixture, decode, dialect, encode_bytes, fixtures, options};

/// Situations that every pair must have, beside the errors.
const LEAST: usize = 25;

fn main() -> ExitCode {
    let (mut pairs, mut full) = (0, 0);
    print!("{:>18}", "from \\ to");
    for to in DialectId::ALL {
        print!("{:>18}", to.name());
    }
    println!();
    for from in DialectId::ALL.iter().copied() {
        print!("{:>18}", from.name());
        for to in DialectId::ALL.iter().copied() {
            let count = ["request", "response", "stream"]
                .into_iter()
                .flat_map(|kind| fixtures(from, kind).into_iter().map(move |fixture| (kind, fixture)))
                .filter(|(kind, fixture)| carried(kind, fixture, to))
                .count();
            print!("{count:>18}");
            pairs += 1;
            full += usize::from(count >= LEAST);
        }
        println!();
    }
    println!("{full}/{pairs} pairs carry at least {LEAST} situations");
    if full == pairs {
        return ExitCode::SUCCESS;
    }
    eprintln!("some pairs carry too few");
    ExitCode::FAILURE
}

/// Whether a fixture can be said in `to`, so that its readers take it.
fn carried(kind: &str, fixture: &Fixture, to: DialectId) -> bool {
    let (from, hints) = (dialect(fixture.dialect), fixture.hints_for(to));
    let (to, mut loss) = (dialect(to), Loss::default());
    match kind {
        "request" => {
            let Ok(request) = from.read_request(&fixture.bytes) else { return false };
            let Ok(written) = to.write_request(&request, &hints, &mut loss) else { return false };
            to.read_request(&written.body).is_ok()
        }
        "response" => {
            let Ok(response) = from.read_response(&fixture.bytes, Reading::default()) else { return false };
            to.read_response(&to.write_response(&response, &mut loss), Reading::default()).is_ok()
        }
        _ => {
            let (events, error) = decode(from, Reading::default(), [fixture.bytes.as_slice()]);
            if error.is_some() {
                return false;
            }
            let (bytes, _) = encode_bytes(&mut *to.encoder(options()), &events);
            decode(to, Reading::default(), [bytes.as_slice()]).1.is_none()
        }
    }
}
