//! The real hosts, each as a process of its own behind one address.

mod archive;
pub mod cloud;
pub mod lambda;
pub(crate) mod process;
pub mod server;
pub mod worker;

pub use archive::Object;

use std::fmt;
use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use http::Method;
use serde_json::{Value, json};

use crate::client::Call;
use crate::planted::Output;

/// What the admin of every host under test shows.
pub const ADMIN_KEY: &str = "admin-key-of-the-scenarios-0123456789abcdef";

/// Where the core runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Server,
    Worker,
    Lambda,
}

/// A running gateway. It is stopped when dropped.
#[derive(Debug)]
pub struct Host {
    pub kind: Kind,
    address: SocketAddr,
    running: Running,
}

#[derive(Debug)]
enum Running {
    Server(server::Server),
    Worker(worker::Worker),
    Lambda(lambda::Lambda),
}

/// A virtual key that a scenario has made.
#[derive(Debug, Clone)]
pub struct Key {
    pub id: String,
    pub secret: String,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Server, Self::Worker, Self::Lambda];

    /// Whether the host learns that a client has gone while its answer is on the way. Lambda does not: its function runs on
    /// to the end of the answer.
    pub fn sees_clients_leave(self) -> bool {
        match self {
            Self::Server | Self::Worker => true,
            Self::Lambda => false,
        }
    }

    /// Whether one process answers many requests at a time.
    pub fn serves_many_at_a_time(self) -> bool {
        match self {
            Self::Server | Self::Worker => true,
            Self::Lambda => false,
        }
    }

    /// Whether it learns of it before the answer has begun, too. The runtime of Workers, as it runs on a developer's machine,
    /// notices only by writing.
    pub fn sees_clients_leave_early(self) -> bool {
        match self {
            Self::Server => true,
            Self::Worker | Self::Lambda => false,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Server => "server",
            Self::Worker => "worker",
            Self::Lambda => "lambda",
        })
    }
}

impl Host {
    /// Starts the host with this configuration and an empty store, and waits until it is ready.
    pub async fn start(kind: Kind, config: &str) -> Result<Self> {
        Self::start_with(kind, config, &[]).await
    }

    /// The same with further variables in its environment, or secrets.
    pub async fn start_with(kind: Kind, config: &str, variables: &[(&str, &str)]) -> Result<Self> {
        let (address, running) = match kind {
            Kind::Server => {
                let server = server::Server::start_with(config, variables).await?;
                (server.address(), Running::Server(server))
            }
            Kind::Worker => {
                let worker = worker::Worker::start_with(config, variables).await?;
                (worker.address(), Running::Worker(worker))
            }
            Kind::Lambda => {
                let lambda = lambda::Lambda::start_with(config, variables).await?;
                (lambda.address(), Running::Lambda(lambda))
            }
        };
        Ok(Self { kind, address, running })
    }

    /// Starts it again over the same store, with these variables in place of the further ones.
    pub async fn restart_with(&mut self, variables: &[(&str, &str)]) -> Result<()> {
        match &mut self.running {
            Running::Server(server) => server.restart_with(variables).await,
            Running::Worker(worker) => worker.restart_with(variables).await,
            Running::Lambda(lambda) => {
                lambda.restart_with(variables).await?;
                self.address = lambda.address();
                Ok(())
            }
        }
    }

    /// Ends what runs without a chance to put its affairs in order, and starts it again over the same store.
    pub async fn kill_and_restart(&mut self) -> Result<()> {
        match &mut self.running {
            Running::Server(server) => server.kill_and_restart_after(async {}).await,
            Running::Worker(worker) => worker.kill_and_restart().await,
            Running::Lambda(lambda) => {
                ensure!(lambda.api().kill().await > 0, "no sandbox was there to be killed");
                Ok(())
            }
        }
    }

    /// Everything in the host's archive, as it lies there.
    pub async fn archive(&self) -> Result<Vec<Object>> {
        archive_at(self.address).await
    }

    /// What lies where the host keeps what it knows: files, or items of a table. The archive of a cloud is elsewhere.
    pub async fn stored(&self) -> Result<Vec<Output>> {
        let folder = match &self.running {
            Running::Server(server) => server.data(),
            Running::Worker(worker) => worker.state(),
            Running::Lambda(lambda) => return lambda.cloud().stored().await,
        };
        let (mut files, mut folders) = (Vec::new(), vec![folder]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if let Ok(bytes) = std::fs::read(&path) {
                    // One that is gone again was not kept.
                    files.push(Output::stored(path.display().to_string(), bytes));
                }
            }
        }
        Ok(files)
    }

    /// Lets the host do now what it does from time to time: move records to the archive.
    pub async fn tick(&self) -> Result<()> {
        self.admin(Method::POST, "/admin/v1/tick").expect(200).await.map(drop)
    }

    /// The last lines that the host has written, for the report of a failure.
    pub fn log(&self) -> String {
        match &self.running {
            Running::Server(server) => server.log(),
            Running::Worker(worker) => worker.log(),
            Running::Lambda(lambda) => lambda.log(),
        }
    }

    /// All that the host has written since it was first started.
    pub fn said(&self) -> String {
        match &self.running {
            Running::Server(server) => server.said(),
            Running::Worker(worker) => worker.said(),
            Running::Lambda(lambda) => lambda.said(),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL without a path, as an SDK takes it.
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn call(&self, method: Method, path: &str) -> Call {
        Call::new(self.address, method, path)
    }

    pub fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    pub fn post(&self, path: &str) -> Call {
        self.call(Method::POST, path)
    }

    /// A call of the admin API, with the admin's key.
    pub fn admin(&self, method: Method, path: &str) -> Call {
        self.call(method, path).key(ADMIN_KEY)
    }

    /// Makes a virtual key; the fields are those of the admin API.
    pub async fn key(&self, fields: Value) -> Result<Key> {
        let made = self.admin(Method::POST, "/admin/v1/keys").json(&fields).expect(201).await?;
        let text = |name: &str| made[name].as_str().map(str::to_owned);
        let (Some(id), Some(secret)) = (text("id"), text("key")) else {
            anyhow::bail!("no id and key in the answer: {made}");
        };
        ensure!(secret.starts_with("gk_"), "a key begins with gk_: {secret}");
        Ok(Key { id, secret })
    }

    /// A virtual key without limits.
    pub async fn open_key(&self) -> Result<Key> {
        self.key(json!({"limits": {}})).await
    }

    /// The key as the admin API shows it.
    pub async fn show(&self, key: &Key) -> Result<Value> {
        self.admin(Method::GET, &format!("/admin/v1/keys/{}", key.id)).expect(200).await
    }
}

/// Everything in the archive of the gateway at this address, through its admin API.
pub async fn archive_at(address: SocketAddr) -> Result<Vec<Object>> {
    let admin = |path: &str| Call::new(address, Method::GET, path).key(ADMIN_KEY);
    let mut objects = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let from = after.map(|name| format!("&after={name}")).unwrap_or_default();
        let page = admin(&format!("/admin/v1/archive?limit=100{from}")).expect(200).await?;
        for name in page["names"].as_array().with_context(|| format!("no names in {page}"))? {
            let name = name.as_str().context("a name is no string")?;
            let object = admin(&format!("/admin/v1/archive/{name}")).whole().await?;
            ensure!(object.status == 200, "{name}: {}", object.text());
            objects.push(Object { name: name.to_owned(), bytes: object.body.to_vec() });
        }
        after = page["next"].as_str().map(str::to_owned);
        if after.is_none() {
            return Ok(objects);
        }
    }
}
