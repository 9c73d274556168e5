//! Waiting for word to stop, beside work that is woken for every packet.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Poll, Waker};

use tokio::sync::watch;

/// What `work` answers; none: `stop` turned true before that, and the work is where it was.
///
/// A select would ask both each time, and asking whether a watch has changed takes a lock. Here it is asked once, and
/// from then on a look at its version tells whether there is anything to ask for.
pub(super) async fn until_told<W: Future>(
    mut work: Pin<&mut W>,
    stop: &watch::Receiver<bool>,
) -> Option<W::Output> {
    let mut asked = stop.clone();
    let mut told = pin!(asked.wait_for(|stop| *stop));
    let mut registered: Option<Waker> = None;
    poll_fn(|context| {
        if let Poll::Ready(done) = work.as_mut().poll(context) {
            return Poll::Ready(Some(done));
        }
        let waits = registered.as_ref().is_some_and(|waker| waker.will_wake(context.waker()));
        if waits && matches!(stop.has_changed(), Ok(false)) {
            return Poll::Pending;
        }
        registered = Some(context.waker().clone());
        // Who told us and is gone has told us all the same.
        told.as_mut().poll(context).map(|_| None)
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn work_goes_on_until_it_is_done_or_word_comes() {
        let (tell, stop) = watch::channel(false);
        let busy = async {
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            7
        };
        assert_eq!(until_told(pin!(busy), &stop).await, Some(7));
        let waiting = tokio::spawn(async move {
            let mut endless = pin!(async {
                loop {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            });
            let first: Option<()> = until_told(endless.as_mut(), &stop).await;
            // Word that has come stays.
            (first, until_told(endless, &stop).await)
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        tell.send_replace(true);
        let ended = tokio::time::timeout(Duration::from_secs(10), waiting).await;
        assert_eq!(ended.unwrap().unwrap(), (None, None));
    }

    #[tokio::test]
    async fn whose_teller_is_gone_has_been_told() {
        let (tell, stop) = watch::channel(false);
        drop(tell);
        assert_eq!(until_told(pin!(std::future::pending::<()>()), &stop).await, None);
    }
}
