//! Maps of few entries, in little code.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use litemap::LiteMap;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::sort::sort_by;

/// A map in the order of its keys, as one list: for what stays small, is made at once, or comes in order.
///
/// A tree is ten times the code, once more for each type, and is for thousands of entries that come one by one in any
/// order: each moves what stands behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmallMap<K, V>(LiteMap<K, V>);

impl<K, V> SmallMap<K, V> {
    pub const fn new() -> Self {
        Self(LiteMap::new())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Ord, V> SmallMap<K, V> {
    /// Of entries in any order: of those with one key the last stays.
    fn of(mut entries: Vec<(K, V)>) -> Self {
        if !entries.is_sorted_by(|(one, _), (other, _)| one < other) {
            sort_by(&mut entries, |(one, _), (other, _)| one.cmp(other));
            entries.dedup_by(|later, kept| {
                let same = later.0 == kept.0;
                if same {
                    std::mem::swap(later, kept);
                }
                same
            });
        }
        Self(LiteMap::from_sorted_store_unchecked(entries))
    }
}

impl<K, V> Default for SmallMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> Deref for SmallMap<K, V> {
    type Target = LiteMap<K, V>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<K, V> DerefMut for SmallMap<K, V> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for SmallMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Self::of(entries.into_iter().collect())
    }
}

// Not the library's own, which sorts as the standard library does: [`crate::sort`] says why.
impl<K: Ord, V> Extend<(K, V)> for SmallMap<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, more: I) {
        let mut entries = std::mem::take(&mut self.0).into_tuple_vec();
        entries.extend(more);
        *self = Self::of(entries);
    }
}

impl<K: Ord, V, const N: usize> From<[(K, V); N]> for SmallMap<K, V> {
    fn from(entries: [(K, V); N]) -> Self {
        Self::of(entries.into())
    }
}

impl<K, V> IntoIterator for SmallMap<K, V> {
    type Item = (K, V);
    type IntoIter = std::vec::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, K, V> IntoIterator for &'a SmallMap<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = <&'a LiteMap<K, V> as IntoIterator>::IntoIter;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<'a, K, V> IntoIterator for &'a mut SmallMap<K, V> {
    type Item = (&'a K, &'a mut V);
    type IntoIter = <&'a mut LiteMap<K, V> as IntoIterator>::IntoIter;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter_mut()
    }
}

// Not the library's own: an empty map would be written as a list, and a list be read as a map.
impl<K: Serialize, V: Serialize> Serialize for SmallMap<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}

impl<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>> Deserialize<'de> for SmallMap<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

struct Entries<K, V>(PhantomData<(K, V)>);

impl<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>> Visitor<'de> for Entries<K, V> {
    type Value = SmallMap<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(SmallMap::of(entries))
    }
}

#[cfg(feature = "schema")]
impl<K, V> schemars::JsonSchema for SmallMap<K, V>
where
    std::collections::BTreeMap<K, V>: schemars::JsonSchema,
{
    fn inline_schema() -> bool {
        std::collections::BTreeMap::<K, V>::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        std::collections::BTreeMap::<K, V>::schema_name()
    }

    fn schema_id() -> std::borrow::Cow<'static, str> {
        std::collections::BTreeMap::<K, V>::schema_id()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        std::collections::BTreeMap::<K, V>::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_what_a_tree_is(entries: Vec<(u8, u32)>, more: Vec<(u8, u32)>) {
            let mut small: SmallMap<u8, u32> = entries.iter().copied().collect();
            let mut tree: BTreeMap<u8, u32> = entries.into_iter().collect();
            prop_assert!(small.iter().eq(&tree));
            for (key, value) in more {
                prop_assert_eq!(small.remove(&key), tree.remove(&key));
                prop_assert_eq!(small.insert(key, value), tree.insert(key, value));
                *small.entry(key / 2).or_default() += 1;
                *tree.entry(key / 2).or_default() += 1;
            }
            small.extend([(7, 1), (3, 2), (7, 3)]);
            tree.extend([(7, 1), (3, 2), (7, 3)]);
            prop_assert!(small.iter().eq(&tree));
            prop_assert!(small.into_iter().eq(tree));
        }

        #[test]
        fn it_is_written_and_read_as_a_tree_is(entries: Vec<(String, u32)>) {
            let small: SmallMap<String, u32> = entries.iter().cloned().collect();
            let tree: BTreeMap<String, u32> = entries.iter().cloned().collect();
            let json = serde_json::to_string(&small).unwrap();
            prop_assert_eq!(&json, &serde_json::to_string(&tree).unwrap());
            prop_assert_eq!(serde_json::from_str::<SmallMap<String, u32>>(&json).unwrap(), small);
        }
    }

    #[test]
    fn what_is_no_map_is_not_read_as_one() {
        for (json, is_one) in [("{}", true), ("[]", false), (r#"[["a",1]]"#, false), ("null", false)] {
            let small =
                serde_json::from_str::<SmallMap<String, u32>>(json).map_err(|error| error.to_string());
            let tree = serde_json::from_str::<BTreeMap<String, u32>>(json).map_err(|error| error.to_string());
            assert_eq!(small.is_ok(), is_one, "{json}");
            assert_eq!(small.err(), tree.err());
        }
    }

    #[test]
    fn of_repeated_keys_the_last_stays() {
        let json = r#"{"b":1,"a":2,"b":3,"a":4,"b":5}"#;
        let small: SmallMap<String, u32> = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&small).unwrap(), r#"{"a":4,"b":5}"#);
    }
}
