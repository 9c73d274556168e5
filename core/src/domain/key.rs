//! Virtual keys: what a caller shows, and what we keep of it.

use crc::{CRC_32_ISO_HDLC, Crc, Table};
use gatelet_wire::SmallMap;
use sha2::{Digest, Sha256};

use super::account::Limits;
use super::id::crockford;
use super::scope::{Scope, ScopeKind};
use super::{AccountId, Money, Residency, Role, Secret, ShardId, Span, Timestamp};

/// `gk_<shard>_<id>_<secret><checksum>`: names its shard, so that no look-up is needed to find its accounts, and
/// carries a checksum, so that garbage is refused without a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyToken {
    pub shard: ShardId,
    pub id: String,
    /// SHA-256 of the whole token, in hexadecimal. The secret has 160 bits of chance: no salt, no stretching needed.
    pub hash: String,
}

/// 160 bits of chance in base 32.
pub const SECRET: usize = 32;
/// CRC-32 of all before it, in base 32.
const CHECKSUM: usize = 7;
const ID: usize = 12;
const LONGEST_SHARD: usize = 24;

impl KeyToken {
    /// Makes a token out of chance, one letter of base 32 a byte; the text is shown once.
    pub fn mint(shard: &ShardId, chance: &[u8; ID + SECRET]) -> (Self, Secret) {
        let letters: String = chance.iter().map(|byte| crockford(u128::from(*byte))).collect();
        let (id, secret) = letters.split_at(ID);
        Self::whole(shard, id, secret)
    }

    /// Another token of the same key.
    pub fn again(shard: &ShardId, id: &str, chance: &[u8; SECRET]) -> (Self, Secret) {
        let secret: String = chance.iter().map(|byte| crockford(u128::from(*byte))).collect();
        Self::whole(shard, id, &secret)
    }

    fn whole(shard: &ShardId, id: &str, secret: &str) -> (Self, Secret) {
        let body = format!("gk_{shard}_{id}_{secret}");
        let text: String = body.chars().chain(checksum(&body)).collect();
        (Self { shard: shard.clone(), id: id.to_owned(), hash: hash(&text) }, Secret::new(text))
    }

    /// A token that another gateway has made, of a key that was imported to `shard`; none where none could be.
    pub fn imported(shard: &ShardId, text: &str) -> Option<Self> {
        const LENGTHS: std::ops::RangeInclusive<usize> = 16..=512;
        let plain = LENGTHS.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        (plain && !text.starts_with("gk_")).then(|| Self::of_hash(shard, &hash(text)))?
    }

    /// The token of a hash, as another gateway has kept it: SHA-256 in 64 hexadecimal digits. The key's id is of its digits,
    /// too: that is how a token is found that does not name its key.
    pub fn of_hash(shard: &ShardId, hash: &str) -> Option<Self> {
        let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if hash.len() != 64 || !hash.bytes().all(lower) {
            return None;
        }
        // 60 bits, five a letter.
        let bits = u64::from_str_radix(hash.get(..15)?, 16).ok()?;
        let letters = (0..ID).map(|place| crockford(u128::from(bits >> (5 * (ID - 1 - place)) & 31)));
        Some(Self { shard: shard.clone(), id: letters.collect(), hash: hash.to_owned() })
    }

    /// Reads a token; none when its form or its checksum is wrong.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > 4 + LONGEST_SHARD + 1 + ID + 1 + SECRET + CHECKSUM {
            return None;
        }
        let rest = text.strip_prefix("gk_")?;
        let (shard, rest) = rest.split_once('_')?;
        let (id, secret) = rest.split_once('_')?;
        let plain = |s: &str| s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if shard.is_empty() || !plain(shard) || id.len() != ID || !plain(id) {
            return None;
        }
        if secret.len() != SECRET + CHECKSUM || !plain(secret) {
            return None;
        }
        let (body, sum) = text.split_at_checked(text.len().checked_sub(CHECKSUM)?)?;
        checksum(body).eq(sum.chars()).then(|| Self {
            shard: ShardId::new(shard),
            id: id.to_owned(),
            hash: hash(text),
        })
    }
}

impl KeyToken {
    /// The access key id of a key's pair: what stands before the token's secret.
    pub fn access_id(shard: &ShardId, id: &str) -> String {
        format!("gk_{shard}_{id}")
    }

    /// The key that an access key id names.
    pub fn of_access_id(text: &str) -> Option<(ShardId, String)> {
        let (shard, id) = text.strip_prefix("gk_")?.split_once('_')?;
        let plain = |s: &str| s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let good = (1..=LONGEST_SHARD).contains(&shard.len()) && id.len() == ID && plain(shard) && plain(id);
        good.then(|| (ShardId::new(shard), id.to_owned()))
    }
}

/// What signs requests in a key's name, for clients of AWS. A signature is judged by making it again, so this is kept as
/// it is, in the key's document alone; it is independent of the token, and does not open what the token opens.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct SigningSecret(String);

impl SigningSecret {
    /// 200 bits of chance.
    pub const CHANCE: usize = 40;

    /// Makes a secret out of chance, one letter of base 32 a byte.
    pub fn mint(chance: &[u8; Self::CHANCE]) -> Self {
        Self(chance.iter().map(|byte| crockford(u128::from(*byte))).collect())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningSecret(***)")
    }
}

/// How a caller proved that a key is theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    Token(KeyToken),
    /// By a signature that this secret made.
    Signed {
        shard: ShardId,
        id: String,
        secret: SigningSecret,
    },
}

impl Proof {
    pub fn shard(&self) -> &ShardId {
        match self {
            Self::Token(token) => &token.shard,
            Self::Signed { shard, .. } => shard,
        }
    }

    pub fn id(&self) -> &str {
        match self {
            Self::Token(token) => &token.id,
            Self::Signed { id, .. } => id,
        }
    }

    /// Whether it still is the key's: its pair may have been replaced.
    pub fn opens(&self, key: &Key, now: Timestamp) -> bool {
        match self {
            Self::Token(token) => key.is_opened_by(&token.hash, now),
            Self::Signed { secret, .. } => key.signing.as_ref() == Some(secret),
        }
    }
}

/// A virtual key: the document that its account carries. Immutable by version.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    pub id: String,
    pub shard: ShardId,
    /// [`KeyToken::hash`] of the token that opens it.
    pub hash: String,
    /// The token before that one, while it is let in as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<Earlier>,
    /// When the token was made, if that was not with the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated: Option<Timestamp>,
    /// How long a token should be used. Nobody replaces one by itself: there would be nobody to show the new one to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate_every: Option<Span>,
    /// None: it has no pair, so no signature opens it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing: Option<SigningSecret>,
    #[serde(default, skip_serializing_if = "KeyKind::is_inference")]
    pub kind: KeyKind,
    /// A name for people; none is fine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// What it belongs to, by id. No organisation: [`Scope::DEFAULT_ORG`](super::Scope::DEFAULT_ORG).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Names or patterns (`openai/*`) of the models that it may call; none means every model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// Operations that it may ask for, by their names; none means every one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routes: Option<Vec<String>>,
    /// Ranges of addresses ([`Cidr`](super::Cidr)) from which it may be used; none means every one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<Vec<String>>,
    #[serde(default)]
    pub limits: Limits,
    /// What was spent elsewhere before it was made: its account begins with that spent.
    #[serde(default, skip_serializing_if = "Money::is_zero")]
    pub opening: Money,
    /// What it may use of single models, by the names that it asks for, beside its limits.
    #[serde(default, skip_serializing_if = "SmallMap::is_empty")]
    pub model_limits: SmallMap<String, Limits>,
    /// What each session (`x-gatelet-session`) of it may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_limits: Option<Limits>,
    /// None: as its team or its organisation says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customers: Option<Customers>,
    /// Names for models, before its team's and the policy's.
    #[serde(default, skip_serializing_if = "SmallMap::is_empty")]
    pub aliases: SmallMap<String, String>,
    /// Where its requests may go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub residency: Option<Residency>,
    /// Guards of the policy, or groups of them, that judge its requests beside those that the policy itself names for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guards: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub metadata: serde_json::Map<String, serde_json::Value>,
    pub state: KeyState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    pub created: Timestamp,
    pub updated: Timestamp,
}

/// A token that was replaced.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Earlier {
    pub hash: String,
    pub until: Timestamp,
}

/// What a key opens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// Models, and nothing under `/admin/v1`.
    #[default]
    Inference,
    /// What its role may do under `/admin/v1`, and no model.
    Management(Role),
    /// What its role may read there.
    ReadOnly(Role),
}

impl KeyKind {
    pub const NAMES: [&str; 3] = ["inference", "management", "read_only"];

    pub fn name(self) -> &'static str {
        match self {
            Self::Inference => "inference",
            Self::Management(_) => "management",
            Self::ReadOnly(_) => "read_only",
        }
    }

    pub fn role(self) -> Option<Role> {
        match self {
            Self::Inference => None,
            Self::Management(role) | Self::ReadOnly(role) => Some(role),
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
    fn is_inference(&self) -> bool {
        matches!(self, Self::Inference)
    }
}

#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    Active,
    /// Refused until it is unblocked.
    Blocked,
    /// Refused for ever.
    Revoked,
}

/// What callers may say of the end users that they ask for.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Customers {
    #[serde(default)]
    pub allow: AllowCustomers,
    /// The template whose limits a customer gets who is seen for the first time; none: such a one has no limits, and is not
    /// written down as a customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^[a-z0-9][a-z0-9._-]{0,63}$")))]
    pub template: Option<String>,
}

#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AllowCustomers {
    /// Whoever they name.
    #[default]
    Any,
    /// Those that were made before; others are refused.
    Known,
    /// What they say is not listened to.
    Off,
}

impl Key {
    /// A key that the token opens, without limits.
    pub fn new(token: KeyToken, created: Timestamp) -> Self {
        Self {
            id: token.id,
            shard: token.shard,
            hash: token.hash,
            earlier: None,
            rotated: None,
            rotate_every: None,
            signing: None,
            kind: KeyKind::Inference,
            alias: None,
            org: None,
            team: None,
            project: None,
            user: None,
            models: None,
            routes: None,
            sources: None,
            limits: Limits::default(),
            opening: Money::ZERO,
            model_limits: SmallMap::new(),
            session_limits: None,
            customers: None,
            aliases: SmallMap::new(),
            residency: None,
            guards: Vec::new(),
            tags: Vec::new(),
            metadata: serde_json::Map::new(),
            state: KeyState::Active,
            expires: None,
            created,
            updated: created,
        }
    }

    pub fn account(&self) -> AccountId {
        AccountId::key(&self.id)
    }

    /// What its document says that it belongs to, by id.
    pub fn scope(&self, kind: ScopeKind) -> Option<&str> {
        match kind {
            ScopeKind::Organisation => self.org.as_deref(),
            ScopeKind::Project => self.project.as_deref(),
            ScopeKind::Team => self.team.as_deref(),
            ScopeKind::User => self.user.as_deref(),
            ScopeKind::Member
            | ScopeKind::Customer
            | ScopeKind::Tag
            | ScopeKind::Model
            | ScopeKind::Agent
            | ScopeKind::Tool
            | ScopeKind::Template => None,
        }
    }

    /// Whether a token of this hash opens it: its own, or the one before it for a while.
    pub fn is_opened_by(&self, hash: &str, now: Timestamp) -> bool {
        self.hash == hash
            || self.earlier.as_ref().is_some_and(|earlier| earlier.hash == hash && now < earlier.until)
    }

    /// Puts another token in place of its own, which goes on opening it until a moment. One before that opens it no more.
    pub fn rotate(&mut self, token: KeyToken, until: Timestamp, now: Timestamp) {
        let before = std::mem::replace(&mut self.hash, token.hash);
        self.earlier = (now < until).then_some(Earlier { hash: before, until });
        self.rotated = Some(now);
    }

    /// When it should get another token.
    pub fn rotation_due(&self) -> Option<Timestamp> {
        Some(self.rotated.unwrap_or(self.created).after(self.rotate_every?.duration()))
    }

    /// What it belongs to. Each of its requests is charged to all of them.
    pub fn belongs(&self) -> Vec<Belongs> {
        let named = Self::BELONGS.into_iter().filter_map(|kind| {
            let account = kind.account(self.scope(kind)?);
            Some(Belongs { account, needed: true })
        });
        let mut all: Vec<Belongs> = Vec::with_capacity(5);
        if self.org.is_none() {
            let account = ScopeKind::Organisation.account(Scope::DEFAULT_ORG);
            all.push(Belongs { account, needed: false });
        }
        all.extend(named);
        if let (Some(team), Some(user)) = (&self.team, &self.user) {
            let account = ScopeKind::Member.account(&[team, "/", user].concat());
            all.push(Belongs { account, needed: false });
        }
        all
    }

    pub const MOST_TAGS: usize = 8;
    pub const MOST_MODEL_LIMITS: usize = 64;
    pub const MOST_ALIASES: usize = 64;
    /// The kinds that its document names.
    pub const BELONGS: [ScopeKind; 4] =
        [ScopeKind::Organisation, ScopeKind::Project, ScopeKind::Team, ScopeKind::User];
}

/// What a key belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Belongs {
    pub account: AccountId,
    /// Whether it has a document for certain: it had one when the key was made, and none is ever taken away.
    pub needed: bool,
}

fn checksum(body: &str) -> impl Iterator<Item = char> + use<> {
    const CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);
    let sum = u128::from(CRC.checksum(body.as_bytes()));
    (0..CHECKSUM).rev().map(move |place| crockford(sum >> (place * 5)))
}

fn hash(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hex = String::with_capacity(64);
    // By hand, because every request comes by here, and `write!` costs more than the digest.
    for byte in Sha256::digest(text.as_bytes()) {
        for half in [byte >> 4, byte & 15] {
            hex.push(char::from(DIGITS[usize::from(half)]));
        }
    }
    hex
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALPHABET: &str = "0123456789abcdefghjkmnpqrstvwxyz";

    fn minted(chance: [u8; 44]) -> (KeyToken, Secret) {
        KeyToken::mint(&ShardId::main(), &chance)
    }

    proptest! {
        #[test]
        fn what_is_minted_is_parsed(chance: [u8; 44], shard in "[a-z0-9]{1,24}") {
            let (token, secret) = KeyToken::mint(&ShardId::new(shard.as_str()), &chance);
            prop_assert_eq!(KeyToken::parse(secret.expose()), Some(token.clone()));
            prop_assert_eq!(token.shard.as_str(), shard);
            let printed = format!("{token:?} {secret:?}");
            prop_assert!(!printed.contains(&secret.expose()[secret.expose().len() - 39..]));
        }

        #[test]
        fn any_other_text_is_refused(text in "\\PC*") {
            prop_assert_eq!(KeyToken::parse(&text), None);
            prop_assert_eq!(KeyToken::parse(&format!("gk_main_{text}")), None);
        }
    }

    #[test]
    fn one_wrong_letter_is_always_caught() {
        let (_, secret) = minted(std::array::from_fn(|place| u8::try_from(place * 37 % 251).unwrap()));
        let text = secret.expose();
        assert!(KeyToken::parse(text).is_some());
        for place in 0..text.len() {
            for letter in ALPHABET.chars().chain("ABXYZ_-.ilou \u{e9}".chars()) {
                let changed: String =
                    text[..place].chars().chain([letter]).chain(text[place + 1..].chars()).collect();
                assert!(changed == text || KeyToken::parse(&changed).is_none(), "{changed}");
            }
            assert!(KeyToken::parse(&text[..place]).is_none(), "{place} letters");
        }
        for swap in 0..text.len() - 1 {
            let mut letters: Vec<char> = text.chars().collect();
            letters.swap(swap, swap + 1);
            let changed: String = letters.into_iter().collect();
            assert!(changed == text || KeyToken::parse(&changed).is_none(), "{changed}");
        }
        assert!(KeyToken::parse(&format!("{text}0")).is_none());
        assert!(KeyToken::parse(&text.repeat(1_000)).is_none());
    }

    #[test]
    fn a_token_that_was_imported_is_found_by_its_hash() {
        let shard = ShardId::new("main");
        // printf %s sk-1234567890abcdef | sha256sum
        let hash = "dd65e03569cfa4fa17f41cc914529f60fa210b46a7ee8647c7c2f1ed5844a3ea";
        let token = KeyToken::imported(&shard, "sk-1234567890abcdef").unwrap();
        assert_eq!(Some(&token), KeyToken::of_hash(&shard, hash).as_ref());
        assert_eq!((token.hash.as_str(), token.id.len()), (hash, ID));
        assert!(token.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()));
        for other in ["", "sk-short", "sk-with a space in it", "gk_main_000000000000_x", &"a".repeat(513)] {
            assert_eq!(KeyToken::imported(&shard, other), None, "{other}");
        }
        for other in ["", "abc", &"g".repeat(64), &"A".repeat(64), &"a".repeat(65)] {
            assert_eq!(KeyToken::of_hash(&shard, other), None, "{other}");
        }
    }

    #[test]
    fn a_token_has_the_form_that_is_documented() {
        let (token, secret) = minted([0; 44]);
        let text = secret.expose();
        assert_eq!(&text[..53], "gk_main_000000000000_00000000000000000000000000000000");
        assert_eq!(text.len(), 60);
        assert_eq!(token.id, "000000000000");
        assert_eq!(token.hash, hash(text));
        assert_eq!(Key::account(&key(&token)).as_str(), "key/000000000000");
    }

    /// The document keeps the hash alone: neither it nor anything printed of it opens the key.
    #[test]
    fn a_document_does_not_hold_the_secret() {
        let (token, secret) = minted(std::array::from_fn(|place| u8::try_from(place).unwrap()));
        let kept = serde_json::to_string(&key(&token)).unwrap() + &format!("{:?}", key(&token));
        assert!(kept.contains(&token.hash));
        assert!(!kept.contains(&secret.expose()[21..40]));
        let read: Key = serde_json::from_str(&serde_json::to_string(&key(&token)).unwrap()).unwrap();
        assert_eq!(read, key(&token));
    }

    #[test]
    fn an_access_id_names_the_key_and_nothing_else_does() {
        let (token, _) = minted([7; 44]);
        let id = KeyToken::access_id(&token.shard, &token.id);
        assert_eq!(KeyToken::of_access_id(&id), Some((token.shard.clone(), token.id.clone())));
        for other in
            ["", "AKIDEXAMPLE", "gk_main", "gk_main_short", "gk_MAIN_000000000000", "gk__000000000000"]
        {
            assert_eq!(KeyToken::of_access_id(other), None, "{other}");
        }
        assert_eq!(KeyToken::of_access_id(&format!("{id}_x")), None);
    }

    #[test]
    fn a_pair_is_seen_by_nobody_who_prints_it_and_opens_its_own_key_alone() {
        let (token, _) = minted([7; 44]);
        let secret = SigningSecret::mint(&std::array::from_fn(|place| u8::try_from(place * 5).unwrap()));
        let paired = Key { signing: Some(secret.clone()), ..key(&token) };
        assert!(!format!("{paired:?} {secret:?}").contains(&secret.expose()[..8]));
        let (shard, id) = (token.shard.clone(), token.id.clone());
        let proof = Proof::Signed { shard, id, secret };
        assert!(proof.opens(&paired, Timestamp::EPOCH));
        assert!(!proof.opens(&key(&token), Timestamp::EPOCH));
        let other = SigningSecret::mint(&[1; SigningSecret::CHANCE]);
        assert!(!proof.opens(&Key { signing: Some(other), ..paired }, Timestamp::EPOCH));
    }

    fn key(token: &KeyToken) -> Key {
        Key::new(token.clone(), Timestamp::EPOCH)
    }
}
