//! One key's answers in the store.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gatelet_wire::Json;

use crate::domain::{KeyToken, Timestamp};
use crate::port::{Fault, FaultKind, MOST_KEPT, Packer, Ports, Store};
use crate::together::together;

/// An answer, and all that led to it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Answer {
    v: u8,
    /// As the caller read it.
    pub response: Json,
    /// The items of the whole conversation before it, in their order.
    pub input: Vec<Json>,
    /// It was made in the background.
    pub background: bool,
}

impl Answer {
    pub fn new(response: Json, input: Vec<Json>, background: bool) -> Self {
        Self { v: 1, response, input, background }
    }
}

/// What one key keeps.
#[derive(Clone)]
pub struct Shelf {
    store: Arc<dyn Store>,
    packer: Arc<dyn Packer>,
    home: String,
}

/// Beyond so many pieces an answer is not kept: five megabytes, packed.
const MOST_PIECES: usize = 16;
/// Beyond so many bytes nothing is unpacked.
const MOST_BYTES: usize = 64 << 20;
/// The first piece says how many there are.
const HEAD: usize = 4;

impl Shelf {
    /// How long answers are kept: as long as the vendor keeps its own.
    pub const TIME: Duration = Duration::from_hours(30 * 24);
    /// The longest conversation, in bytes, that is kept.
    pub const LONGEST: usize = 4 << 20;

    pub fn of(ports: &Ports, key: &KeyToken) -> Self {
        Self {
            store: ports.store.clone(),
            packer: ports.packer.clone(),
            home: format!("{}/{}", key.shard, key.id),
        }
    }

    /// Whose it is.
    pub fn home(&self) -> &str {
        &self.home
    }

    /// Keeps an answer. Whoever has read its id from us finds it.
    pub async fn keep(&self, id: &str, answer: &Answer, until: Timestamp) -> Result<(), Fault> {
        if !is_id(id) {
            return Err(Fault::new(FaultKind::TooLarge, "responses.keep", "an id of an unknown form"));
        }
        let json = serde_json::to_vec(answer)
            .map_err(|error| Fault::new(FaultKind::Corrupt, "responses.keep", error.to_string()))?;
        let packed = self.packer.pack(json.into()).await?;
        let pieces: Vec<Bytes> = packed.chunks(MOST_KEPT - HEAD).map(Bytes::copy_from_slice).collect();
        if pieces.len() > MOST_PIECES {
            return Err(Fault::new(FaultKind::TooLarge, "responses.keep", format!("{} bytes", packed.len())));
        }
        let count = u32::try_from(pieces.len()).unwrap_or(u32::MAX);
        let mut pieces = pieces.into_iter();
        let mut first = count.to_le_bytes().to_vec();
        first.extend_from_slice(&pieces.next().unwrap_or_default());
        // The first one last: who finds it finds all.
        let rest = (1..).zip(pieces).map(|(nth, piece)| async move {
            self.store.keep(&self.home, &piece_name(id, nth), piece, until).await
        });
        together(rest).await.into_iter().collect::<Result<(), Fault>>()?;
        self.store.keep(&self.home, id, first.into(), until).await
    }

    pub async fn get(&self, id: &str, now: Timestamp) -> Result<Option<Answer>, Fault> {
        if !is_id(id) {
            return Ok(None);
        }
        let Some(first) = self.store.kept(&self.home, id, now).await? else { return Ok(None) };
        let Some((head, piece)) = first.split_first_chunk::<HEAD>() else { return Ok(None) };
        let count = usize::try_from(u32::from_le_bytes(*head)).unwrap_or(0).min(MOST_PIECES);
        let rest =
            (1..count).map(|nth| async move { self.store.kept(&self.home, &piece_name(id, nth), now).await });
        let mut packed = piece.to_vec();
        for piece in together(rest).await {
            // Pieces end together; one that is gone was taken out between two reads.
            let Some(piece) = piece? else { return Ok(None) };
            packed.extend_from_slice(&piece);
        }
        let json = self.packer.unpack(packed.into(), MOST_BYTES).await?;
        gatelet_wire::json::read(&json)
            .map(Some)
            .map_err(|error| Fault::new(FaultKind::Corrupt, "responses.get", error.to_string()))
    }

    pub async fn discard(&self, id: &str) -> Result<(), Fault> {
        // The others end with their time: nobody finds them without the first.
        self.store.discard(&self.home, id).await
    }

    /// Keeps the items of an answer whose ids do not name it, so that a reference finds them.
    pub async fn keep_items(&self, items: &[(String, Json)], until: Timestamp) -> Result<(), Fault> {
        let kept = items.iter().filter(|(id, json)| is_id(id) && json.as_str().len() <= MOST_KEPT);
        let kept = kept.map(|(id, json)| async move {
            let bytes = Bytes::copy_from_slice(json.as_str().as_bytes());
            self.store.keep(&self.home, &item_name(id), bytes, until).await
        });
        together(kept).await.into_iter().collect()
    }

    pub async fn item(&self, id: &str, now: Timestamp) -> Result<Option<Json>, Fault> {
        if !is_id(id) {
            return Ok(None);
        }
        let kept = self.store.kept(&self.home, &item_name(id), now).await?;
        Ok(kept.and_then(|bytes| Json::parse(std::str::from_utf8(&bytes).ok()?).ok()))
    }
}

impl std::fmt::Debug for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shelf({})", self.home)
    }
}

/// Ids of vendors and ours: letters, digits, `_` and `-`. So no id is the name of a piece or an item.
fn is_id(id: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=128).contains(&id.len()) && id.bytes().all(fits)
}

fn piece_name(id: &str, nth: usize) -> String {
    format!("{id}~{nth}")
}

fn item_name(id: &str) -> String {
    format!("item~{id}")
}

#[cfg(all(test, feature = "memory"))]
mod tests {
    use super::*;
    use crate::domain::ShardId;
    use crate::port::memory;

    fn token(id: &str) -> KeyToken {
        KeyToken { shard: ShardId::main(), id: id.to_owned(), hash: String::new() }
    }

    fn json(value: &serde_json::Value) -> Json {
        Json::of(value)
    }

    #[test]
    fn what_is_larger_than_a_piece_comes_back_whole_and_only_to_its_key() {
        let kept = futures_executor::block_on(keeps_and_gives_back());
        assert!(kept.is_ok(), "{kept:?}");
    }

    async fn keeps_and_gives_back() -> Result<(), Fault> {
        let (ports, _) = memory::ports();
        let (own, other) = (Shelf::of(&ports, &token("a")), Shelf::of(&ports, &token("b")));
        // Chance that no packer shortens, in some two pieces.
        let mut state = 1_u64;
        let noise: String = (0..800_000)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                char::from(33 + u8::try_from((state >> 33) % 90).unwrap_or(0))
            })
            .collect();
        let answer =
            Answer::new(json(&serde_json::json!({"id": "resp_1"})), vec![json(&noise.into())], false);
        let until = Timestamp::from_seconds(100);
        own.keep("resp_1", &answer, until).await?;
        assert_eq!(own.get("resp_1", Timestamp::from_seconds(99)).await?, Some(answer));
        assert_eq!(other.get("resp_1", Timestamp::from_seconds(99)).await?, None);
        assert_eq!(own.get("resp_1~1", Timestamp::from_seconds(99)).await?, None);
        assert_eq!(own.get("resp_1", Timestamp::from_seconds(100)).await?, None);
        own.keep("resp_2", &Answer::new(json(&1.into()), Vec::new(), true), until).await?;
        own.discard("resp_2").await?;
        assert_eq!(own.get("resp_2", Timestamp::from_seconds(99)).await?, None);
        Ok(())
    }
}
