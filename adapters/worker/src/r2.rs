//! [`Archive`] over R2.

use async_trait::async_trait;
use bytes::Bytes;
use gatelet_core::port::{Archive, Fault, FaultKind, Written};
use worker::{Bucket, Conditional};

use crate::js;

#[derive(Clone, Debug)]
pub(crate) struct Records(pub(crate) Bucket);

impl Records {
    pub(crate) async fn write(&self, name: &str, bytes: Bytes) -> Result<Written, Fault> {
        let absent = Conditional { etag_does_not_match: Some("*".to_owned()), ..Conditional::default() };
        let put = self.0.put(name, bytes.to_vec()).only_if(absent).execute();
        let object = put.await.map_err(|error| fault("archive.write", &error))?;
        Ok(if object.is_some() { Written::New } else { Written::Existed })
    }

    async fn read(&self, name: &str) -> Result<Option<Bytes>, Fault> {
        let fault = |error| fault("archive.read", &error);
        let Some(object) = self.0.get(name).execute().await.map_err(fault)? else { return Ok(None) };
        let Some(body) = object.body() else { return Ok(None) };
        Ok(Some(body.bytes().await.map_err(fault)?.into()))
    }

    async fn replace(&self, name: &str, bytes: Option<Bytes>) -> Result<(), Fault> {
        let done = match bytes {
            Some(bytes) => self.0.put(name, bytes.to_vec()).execute().await.map(drop),
            None => self.0.delete(name).await,
        };
        done.map_err(|error| fault("archive.replace", &error))
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, Fault> {
        /// The most that R2 lists at once.
        const PAGE: usize = 1_000;
        let mut names = Vec::new();
        let mut after = after.map(str::to_owned);
        loop {
            let page = PAGE.min(limit - names.len());
            let mut list = self.0.list().prefix(prefix).limit(u32::try_from(page).unwrap_or(1_000));
            if let Some(after) = &after {
                list = list.start_after(after);
            }
            let found = list.execute().await.map_err(|error| fault("archive.list", &error))?;
            names.extend(found.objects().iter().map(worker::Object::key));
            if names.len() >= limit || !found.truncated() {
                return Ok(names);
            }
            after = names.last().cloned();
        }
    }
}

fn fault(operation: &'static str, error: &worker::Error) -> Fault {
    Fault::new(FaultKind::Unavailable, operation, error.to_string())
}

#[async_trait]
impl Archive for Records {
    async fn write(&self, name: &str, bytes: Bytes) -> Result<Written, Fault> {
        js::js(Self::write(self, name, bytes)).await
    }

    async fn read(&self, name: &str) -> Result<Option<Bytes>, Fault> {
        js::js(Self::read(self, name)).await
    }

    async fn replace(&self, name: &str, bytes: Option<Bytes>) -> Result<(), Fault> {
        js::js(Self::replace(self, name, bytes)).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, Fault> {
        js::js(Self::list(self, prefix, after, limit)).await
    }
}
