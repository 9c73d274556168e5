//! The executable that Lambda starts in each sandbox.

use std::sync::Arc;
use std::time::Duration;

use gatelet_lambda::{Function, log};
use lambda_http::{Request, service_fn};

/// What a sandbox has between `SIGTERM` and `SIGKILL`, less a little.
const LAST_WORK: Duration = Duration::from_millis(400);

/// One thread: a sandbox serves one request at a time.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let environment = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let function = match Function::new(environment) {
        Ok(function) => Arc::new(function),
        Err(missing) => {
            log::error("the function cannot start", &missing);
            return Err(missing.into());
        }
    };
    let tasks = function.tasks().clone();
    // Lambda sends SIGTERM only to sandboxes with an extension, which this registers. All work is done before an answer
    // ends, so there should be nothing left; this is for an invocation that was cut off.
    lambda_runtime::spawn_graceful_shutdown_handler(move || async move {
        let _ = tokio::time::timeout(LAST_WORK, tasks.finished()).await;
    })
    .await;
    lambda_http::run_with_streaming_response(service_fn(move |request: Request| {
        let function = Arc::clone(&function);
        async move { function.serve(request).await }
    }))
    .await
}
