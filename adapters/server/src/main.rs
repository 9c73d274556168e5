//! `gatelet`: the gateway as one program, and its command line.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use gatelet_server::cli::{Cli, Command, Import};
use gatelet_server::{client, import, known, registry, serve};

/// A fifth less time for a request than with the system's. Huge pages would make an idle process half as large again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let data = match &cli.command {
        None => Some(&*cli.serve.data),
        Some(Command::Serve(settings)) => Some(&*settings.data),
        Some(_) => None,
    };
    let done = registry::choose(cli.catalogue.as_deref(), data).and_then(|()| match cli.command {
        None => serve::serve(&cli.serve),
        Some(Command::Serve(settings)) => serve::serve(&settings),
        Some(Command::Check { file }) => serve::check(&file),
        Some(Command::Keys { remote, command }) => client::keys(&remote, *command),
        Some(Command::Noun(noun)) => client::scopes(&noun.remote, noun.kind, noun.command),
        Some(Command::Explain { remote, wish }) => client::explain(&remote, &wish),
        Some(Command::Completions { shell }) => {
            clap_complete::generate(shell, &mut Cli::command(), "gatelet", &mut std::io::stdout());
            Ok(())
        }
        Some(Command::Providers { words, json }) => known::providers(&words, json),
        Some(Command::Models { remote, words, key: Some(key) }) => client::models(&remote, &key, &words),
        Some(Command::Models { remote, words, key: None }) => known::models(&words, remote.json),
        Some(Command::Import { from: Import::Litellm { file, output, strict } }) => {
            import::litellm(&file, output.as_deref(), strict)
        }
        Some(Command::Import { from: Import::LitellmRows { remote, files } }) => {
            client::litellm_rows(&remote, &files)
        }
        Some(Command::Spend { remote, wish }) => client::spend(&remote, &wish),
        Some(Command::Logs { remote, wish }) => client::logs(&remote, &wish),
        Some(Command::Score { remote, id, name, value, comment }) => {
            client::score(&remote, &id, &name, &value, comment.as_deref())
        }
        Some(Command::Credentials { remote, command }) => client::credentials(&remote, command),
        Some(Command::Content { remote, command }) => client::content(&remote, &command),
        Some(Command::Prompts { remote, org, command }) => client::prompts(&remote, org.as_deref(), command),
        Some(Command::Cache { remote, command }) => client::cache(&remote, &command),
        Some(Command::Targets { remote, words, out }) => client::targets(&remote, &words, out),
        Some(Command::Guards { remote, command }) => client::guards(&remote, &command),
        Some(Command::Audit { remote, command }) => client::audit(&remote, &command),
        Some(Command::Reconcile { remote, from, to }) => {
            client::reconcile(&remote, from.as_deref(), to.as_deref(), remote.shard.as_deref())
        }
        Some(Command::Catalogue { file }) => known::catalogue(&file),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error:#}");
            if error.is::<client::WrongUsage>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}
