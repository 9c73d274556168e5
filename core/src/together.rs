//! Several things at once.

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;

/// Waits for all of them, and gives what they gave in their order.
///
/// `join_all` of the library is a machine of five kilobytes for every type; here all run in one.
pub(crate) async fn together<F: Future<Output: Send> + Send>(
    futures: impl IntoIterator<Item = F>,
) -> Vec<F::Output> {
    let futures: Vec<F> = futures.into_iter().collect();
    let mut given: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    let filled = given
        .iter_mut()
        .zip(futures)
        .map(|(place, future)| -> BoxFuture<'_, ()> { Box::pin(async move { *place = Some(future.await) }) });
    all(filled.collect()).await;
    given.into_iter().flatten().collect()
}

async fn all(mut open: FuturesUnordered<BoxFuture<'_, ()>>) {
    while open.next().await.is_some() {}
}
