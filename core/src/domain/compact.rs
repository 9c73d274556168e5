//! Postcard's encoding, written behind bytes that are there already.

use postcard::ser_flavors::Flavor;
use serde::Serialize;

/// Appends `value` in postcard's encoding. Postcard's own way to do so asks for room for every single byte.
pub fn compact(value: &impl Serialize, onto: Vec<u8>) -> postcard::Result<Vec<u8>> {
    postcard::serialize_with_flavor(value, Onto(onto))
}

struct Onto(Vec<u8>);

impl Flavor for Onto {
    type Output = Vec<u8>;

    #[inline]
    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(data);
        Ok(())
    }

    #[inline]
    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.0.push(data);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Vec<u8>> {
        Ok(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_writes_what_postcard_writes() {
        let value = (7_u8, "text", vec![(300_u64, [1_u8, 2, 3])], Some(-5_i64));
        let expected = postcard::to_extend(&value, b"before".to_vec()).unwrap();
        assert_eq!(compact(&value, b"before".to_vec()).unwrap(), expected);
    }
}
