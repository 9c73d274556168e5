//! The Lambda function in its sandboxes, behind a function URL, over emulated services.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use http::Method;
use serde_json::json;

use super::ADMIN_KEY;
use super::cloud::Cloud;
use super::process::{said, tail};
use super::server::{binary, owned};
use crate::client::Call;
use crate::runtime_api::{RuntimeApi, Settings};

/// A running function, and what it stands on.
#[derive(Debug)]
pub struct Lambda {
    api: RuntimeApi,
    cloud: Cloud,
    config: String,
}

impl Lambda {
    pub async fn start(config: &str) -> Result<Self> {
        Self::start_with(config, &[]).await
    }

    /// With further variables of the function.
    pub async fn start_with(config: &str, variables: &[(&str, &str)]) -> Result<Self> {
        let cloud = Cloud::start().await?;
        let api = deploy(&cloud, config, variables).await?;
        let lambda = Self { api, cloud, config: config.to_owned() };
        lambda.ready().await?;
        Ok(lambda)
    }

    /// Deploys it anew over the same table and bucket, with other variables.
    pub async fn restart_with(&mut self, variables: &[(&str, &str)]) -> Result<()> {
        self.api = deploy(&self.cloud, &self.config, variables).await?;
        self.ready().await
    }

    async fn ready(&self) -> Result<()> {
        let ready = Call::new(self.address(), Method::GET, "/health/ready").expect(200).await;
        ready.map(drop).with_context(|| self.log())
    }

    pub fn address(&self) -> SocketAddr {
        self.api.address()
    }

    /// The service that runs the function: its sandboxes, and what it has to complain of.
    pub fn api(&self) -> &RuntimeApi {
        &self.api
    }

    /// The services that the function stands on.
    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// Invokes the function as its schedule does.
    pub async fn tick(&self) -> Result<()> {
        let (status, body) = self.api.invoke(&json!({"gatelet": "tick"})).await?;
        ensure!(status == 200, "tick: {status} {}", String::from_utf8_lossy(&body));
        Ok(())
    }

    /// The last lines that the sandboxes have written, and what was wrong with their answers.
    pub fn log(&self) -> String {
        format!("{}\n{}", tail(&self.said()), self.api.complaints().join("\n"))
    }

    /// All that the sandboxes have written since the beginning.
    pub fn said(&self) -> String {
        said(&self.cloud.folder().join("log"))
    }
}

async fn deploy(cloud: &Cloud, config: &str, variables: &[(&str, &str)]) -> Result<RuntimeApi> {
    let mut environment = cloud.environment();
    environment.push(("GATELET_ADMIN_KEY".to_owned(), ADMIN_KEY.to_owned()));
    environment.push(("GATELET_CONFIG".to_owned(), config.to_owned()));
    environment.extend(owned(variables));
    let settings = Settings {
        binary: binary("gatelet-lambda", "bootstrap").await?,
        environment,
        // More than any scenario has requests open at once without being one of many.
        sandboxes: 40,
        timeout: Duration::from_mins(2),
        log: cloud.folder().join("log"),
    };
    RuntimeApi::start(settings).await
}
