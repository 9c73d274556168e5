//! The side that clients see: a function URL.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::{Fleet, event};

/// The body of an answer; it fails where the sandbox died before the end.
pub(super) type Answer = UnsyncBoxBody<Bytes, anyhow::Error>;

/// What an event may weigh, in bytes.
const EVENT_LIMIT: usize = 6 * 1024 * 1024;

/// Serves clients until the task is aborted.
pub(super) async fn accept(listener: TcpListener, fleet: Arc<Fleet>) {
    loop {
        let Ok((socket, client)) = listener.accept().await else { continue };
        let fleet = Arc::clone(&fleet);
        tokio::spawn(async move {
            // A socket that refuses the option still works, only with Nagle's delay.
            let _ = socket.set_nodelay(true);
            let service = service_fn(|request| {
                let fleet = Arc::clone(&fleet);
                async move { Ok::<_, Infallible>(answer(&fleet, request, client).await) }
            });
            // An error here is a client that left.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service)
                .await;
        });
    }
}

async fn answer(fleet: &Arc<Fleet>, request: Request<Incoming>, client: SocketAddr) -> Response<Answer> {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, EVENT_LIMIT).collect().await else {
        return plain(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    };
    let event = event::of_request(&parts, &body.to_bytes(), &client.ip().to_string()).to_string();
    if event.len() > EVENT_LIMIT {
        return plain(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    }
    // The function is not told when its client leaves, so it runs apart from the client's connection.
    let fleet = Arc::clone(fleet);
    let invocation = tokio::spawn(async move { fleet.invoke(event.into()).await });
    match invocation.await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) | Err(_) => plain(StatusCode::BAD_GATEWAY, "Internal Server Error"),
    }
}

/// What the service itself says.
pub(super) fn plain(status: StatusCode, message: &str) -> Response<Answer> {
    let text = serde_json::json!({ "Message": message }).to_string();
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

/// A body of the chunks that arrive on `chunks`.
pub(super) fn streamed(chunks: tokio::sync::mpsc::UnboundedReceiver<anyhow::Result<Bytes>>) -> Answer {
    let stream = futures_util::stream::unfold(chunks, |mut chunks| async move {
        let chunk = chunks.recv().await?;
        Some((chunk, chunks))
    });
    StreamBody::new(stream.map(|chunk| chunk.map(Frame::data))).boxed_unsync()
}
