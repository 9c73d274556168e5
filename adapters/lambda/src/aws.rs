//! Who we are at AWS, and how its requests travel: over the gateway's own HTTP client.

use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use gatelet_core::port::{Body, Broken, Fault, FaultKind, Reach, Upstream};

/// What Lambda's environment says, and the client that carries it.
///
/// The credentials are the function's own. Lambda puts them into the environment and replaces the sandbox before they end.
#[derive(Clone)]
pub struct Aws {
    pub(crate) region: String,
    pub(crate) credentials: Credentials,
    pub(crate) upstream: Arc<dyn Upstream>,
    dynamodb: Option<String>,
    pub(crate) s3: Option<String>,
}

impl Aws {
    /// Reads `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`,
    /// `AWS_ENDPOINT_URL_DYNAMODB` and `AWS_ENDPOINT_URL_S3` through `environment`. Answers the name of what is missing.
    pub fn from_environment(
        environment: impl Fn(&str) -> Option<String>,
        upstream: Arc<dyn Upstream>,
    ) -> Result<Self, &'static str> {
        let need = |name: &'static str| environment(name).ok_or(name);
        let credentials = Credentials::new(
            need("AWS_ACCESS_KEY_ID")?,
            need("AWS_SECRET_ACCESS_KEY")?,
            environment("AWS_SESSION_TOKEN"),
            None,
            "environment",
        );
        Ok(Self {
            region: need("AWS_REGION")?,
            credentials,
            upstream,
            dynamodb: environment("AWS_ENDPOINT_URL_DYNAMODB"),
            s3: environment("AWS_ENDPOINT_URL_S3"),
        })
    }

    /// A client of `DynamoDB`.
    ///
    /// It retries what may have been done already, after a timeout for example. So every write that goes through it must be
    /// harmless when done twice: see the ledger and the table for why theirs are.
    pub(crate) fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        let mut config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.region.clone()))
            .credentials_provider(self.credentials.clone())
            .http_client(Carrier { upstream: Arc::clone(&self.upstream) })
            // A caller waits: the SDK's own pauses of a second and more would turn a table that is down into half a
            // minute of silence, since a refused request is also taken back and written down.
            .retry_config(
                RetryConfig::standard()
                    .with_max_attempts(4)
                    .with_initial_backoff(Duration::from_millis(50))
                    .with_max_backoff(Duration::from_millis(500)),
            )
            .timeout_config(
                TimeoutConfig::builder()
                    .operation_attempt_timeout(Duration::from_secs(3))
                    .operation_timeout(Duration::from_secs(8))
                    .build(),
            );
        if let Some(endpoint) = &self.dynamodb {
            config = config.endpoint_url(endpoint);
        }
        aws_sdk_dynamodb::Client::from_conf(config.build())
    }
}

impl std::fmt::Debug for Aws {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Aws({})", self.region)
    }
}

/// All of a body's bytes.
pub(crate) async fn whole(body: Body) -> Result<Bytes, Broken> {
    match body {
        Body::Empty => Ok(Bytes::new()),
        Body::Full(bytes) => Ok(bytes),
        Body::Pieces(pieces) => Ok(Body::join(&pieces)),
        Body::Stream(chunks) => {
            let all: Vec<u8> = chunks.map_ok(|chunk| chunk.to_vec()).try_concat().await?;
            Ok(all.into())
        }
    }
}

/// The SDK's requests on the gateway's client: one pool, one TLS stack. `DynamoDB`'s bodies are whole, both ways.
#[derive(Clone)]
struct Carrier {
    upstream: Arc<dyn Upstream>,
}

impl std::fmt::Debug for Carrier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Carrier")
    }
}

impl HttpClient for Carrier {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Carrier {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let upstream = Arc::clone(&self.upstream);
        HttpConnectorFuture::new(async move {
            let user = |error: Box<dyn std::error::Error + Send + Sync>| ConnectorError::user(error);
            let request = request.try_into_http1x().map_err(|error| user(error.into()))?;
            let request =
                request.map(|body| Body::from(Bytes::copy_from_slice(body.bytes().unwrap_or_default())));
            // The endpoint comes from the deployment, and may be private: a VPC endpoint, an emulator.
            let response =
                upstream.send(request, Reach::Private).await.map_err(|fault| match fault.kind {
                    FaultKind::Timeout => ConnectorError::timeout(fault.into()),
                    _ => ConnectorError::io(fault.into()),
                })?;
            let (parts, body) = response.into_parts();
            let body = whole(body).await.map_err(|broken| ConnectorError::io(broken.into()))?;
            HttpResponse::try_from(http::Response::from_parts(parts, SdkBody::from(body)))
                .map_err(|error| user(error.into()))
        })
    }
}

/// A failed call as core knows it. The SDK has retried what may pass by then.
pub(crate) fn fault<E, R>(
    operation: &'static str,
) -> impl Fn(aws_sdk_dynamodb::error::SdkError<E, R>) -> Fault
where
    E: std::error::Error + aws_sdk_dynamodb::error::ProvideErrorMetadata + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata as _, SdkError};
    move |error| {
        let kind = match &error {
            SdkError::TimeoutError(_) => FaultKind::Timeout,
            SdkError::DispatchFailure(failure) if failure.is_timeout() => FaultKind::Timeout,
            SdkError::ConstructionFailure(_) | SdkError::ResponseError(_) => FaultKind::Corrupt,
            _ => match error.code().unwrap_or_default() {
                "AccessDeniedException"
                | "ExpiredTokenException"
                | "MissingAuthenticationTokenException"
                | "ResourceNotFoundException"
                | "UnrecognizedClientException" => FaultKind::Denied,
                "ConditionalCheckFailedException"
                | "TransactionCanceledException"
                | "TransactionConflictException" => FaultKind::Conflict,
                "ItemCollectionSizeLimitExceededException" | "ValidationException" => FaultKind::TooLarge,
                _ => FaultKind::Unavailable,
            },
        };
        Fault::new(kind, operation, DisplayErrorContext(&error).to_string())
    }
}
