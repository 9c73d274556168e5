//! The services of AWS that a deployed gateway stands on, emulated: `DynamoDB` and S3, in processes on this machine.

use std::io::Read as _;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::DeflateDecoder;
use flate2::{Compress, Compression, FlushCompress};
use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::process::{Process, free_address};
use crate::client::Call;
use crate::planted::Output;
use crate::sdk::root;

/// The name of the table and of the bucket.
pub const NAME: &str = "gatelet";

/// The emulators, with an empty table and an empty bucket. They are stopped when dropped.
#[derive(Debug)]
pub struct Cloud {
    dynamodb: SocketAddr,
    s3: SocketAddr,
    folder: TempDir,
    processes: Mutex<Vec<Process>>,
}

impl Cloud {
    pub async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let ministack = root().join(".tools/venv/bin/ministack");
        ensure!(ministack.is_file(), "{} is not there: run `cargo xtask setup`", ministack.display());
        let s3 = free_address()?;
        let mut command = Command::new(&ministack);
        command
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", s3.port().to_string())
            .current_dir(folder.path());
        let mut processes = vec![Process::start(&mut command, &folder.path().join("s3"))?];
        // The faster one, where there is a build of it; the other one knows tables too.
        let dynoxide = root().join("node_modules/@dynoxide/linux-x64/dynoxide");
        let mut dynamodb = s3;
        if dynoxide.is_file() {
            dynamodb = free_address()?;
            let mut command = Command::new(&dynoxide);
            command.args(["serve", "--host", "127.0.0.1", "--port", &dynamodb.port().to_string()]);
            let mut process = Process::start(&mut command, &folder.path().join("dynamodb"))?;
            process.until_ready(dynamodb, "/", Duration::from_secs(20)).await?;
            processes.push(process);
        }
        processes[0].until_ready(s3, "/_ministack/health", Duration::from_mins(1)).await?;
        let cloud = Self { dynamodb, s3, folder, processes: Mutex::new(processes) };
        cloud.make_table().await?;
        Call::new(s3, Method::PUT, &format!("/{NAME}")).expect(200).await?;
        Ok(cloud)
    }

    /// The environment of a function that may use them.
    pub fn environment(&self) -> Vec<(String, String)> {
        let pairs = [
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
            ("AWS_ENDPOINT_URL_DYNAMODB", format!("http://{}", self.dynamodb)),
            ("AWS_ENDPOINT_URL_S3", format!("http://{}", self.s3)),
            ("GATELET_TABLE", NAME.to_owned()),
            ("GATELET_BUCKET", NAME.to_owned()),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value)).into()
    }

    /// Ends the emulators: from now on nobody answers at their addresses.
    pub fn go_down(&self) {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// A folder for whoever uses the services.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// The same keys as in `template.yaml`.
    async fn make_table(&self) -> Result<()> {
        let table = json!({
            "TableName": NAME,
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            "AttributeDefinitions": [
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
        });
        self.dynamodb("CreateTable", &table).await.map(drop)
    }

    /// All items of the table, their bytes unpacked.
    pub async fn stored(&self) -> Result<Vec<Output>> {
        let (mut all, mut from) = (Vec::new(), Value::Null);
        loop {
            let mut scan = json!({ "TableName": NAME });
            if !from.is_null() {
                scan["ExclusiveStartKey"] = from;
            }
            let mut page = self.dynamodb("Scan", &scan).await?;
            for item in page["Items"].as_array().context("no items")? {
                let mut text = item.to_string().into_bytes();
                unpacked(item, &mut text)?;
                all.push(Output::new(format!("item {}", item["pk"]), text));
            }
            from = page["LastEvaluatedKey"].take();
            if from.is_null() {
                return Ok(all);
            }
        }
    }

    /// Calls `DynamoDB`; the emulator asks for a signature, and does not check it.
    async fn dynamodb(&self, operation: &str, body: &Value) -> Result<Value> {
        const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 \
            Credential=test/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0";
        Call::new(self.dynamodb, Method::POST, "/")
            .header("x-amz-target", &format!("DynamoDB_20120810.{operation}"))
            .header("x-amz-date", "20260101T000000Z")
            .header("authorization", AUTHORIZATION)
            .json(body)
            .expect(200)
            .await
    }
}

/// What is in the binary attributes of an item, behind what is there already.
fn unpacked(value: &Value, out: &mut Vec<u8>) -> Result<()> {
    match value {
        Value::Object(fields) if fields.len() == 1 && fields.contains_key("B") => {
            let bytes = STANDARD.decode(fields["B"].as_str().context("bytes that are no text")?)?;
            steps(&bytes, out);
            out.extend(Output::stored("", bytes).bytes);
            Ok(())
        }
        Value::Object(fields) => fields.values().try_for_each(|value| unpacked(value, out)),
        Value::Array(values) => values.iter().try_for_each(|value| unpacked(value, out)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

/// The steps of a shard's log among these bytes: each begins with its format's letter, and is deflated behind words that all know.
fn steps(bytes: &[u8], out: &mut Vec<u8>) {
    const WORDS: &[u8] = include_bytes!("../../../adapters/lambda/src/journal/words.txt");
    let mut before = Vec::with_capacity(2 * WORDS.len());
    let packed =
        Compress::new(Compression::fast(), false).compress_vec(WORDS, &mut before, FlushCompress::Sync);
    let begins = bytes.iter().enumerate().filter(|(_, byte)| packed.is_ok() && **byte == b'1');
    for (at, _) in begins {
        let mut text = Vec::new();
        let packed = before.as_slice().chain(&bytes[at + 1..]);
        // Most letters begin nothing.
        let _ = DeflateDecoder::new(packed).read_to_end(&mut text);
        out.extend_from_slice(text.get(WORDS.len()..).unwrap_or_default());
    }
}
