//! Protocol buffers, as far as they are written here: a page where a library would bring a reader and types for all.
//!
//! <https://protobuf.dev/programming-guides/encoding/>

/// A message in the making.
#[derive(Debug, Default)]
pub(super) struct Proto(pub(super) Vec<u8>);

impl Proto {
    fn varint(&mut self, mut value: u64) {
        loop {
            let low = value.to_le_bytes()[0] & 0x7f;
            value >>= 7;
            if value == 0 {
                return self.0.push(low);
            }
            self.0.push(low | 0x80);
        }
    }

    fn tag(&mut self, field: u32, wire: u32) {
        self.varint(u64::from(field << 3 | wire));
    }

    pub(super) fn number(&mut self, field: u32, value: u64) -> &mut Self {
        self.tag(field, 0);
        self.varint(value);
        self
    }

    pub(super) fn fixed(&mut self, field: u32, value: u64) -> &mut Self {
        self.tag(field, 1);
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(super) fn double(&mut self, field: u32, value: f64) -> &mut Self {
        self.fixed(field, value.to_bits())
    }

    pub(super) fn bytes(&mut self, field: u32, value: &[u8]) -> &mut Self {
        self.tag(field, 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    pub(super) fn text(&mut self, field: u32, value: &str) -> &mut Self {
        self.bytes(field, value.as_bytes())
    }

    pub(super) fn message(&mut self, field: u32, make: &mut dyn FnMut(&mut Self)) -> &mut Self {
        let mut inner = Self::default();
        make(&mut inner);
        self.bytes(field, &inner.0)
    }

    /// Numbers of eight bytes each, packed.
    pub(super) fn packed(&mut self, field: u32, values: &[u64]) -> &mut Self {
        self.tag(field, 2);
        self.varint(values.len() as u64 * 8);
        for value in values {
            self.0.extend_from_slice(&value.to_le_bytes());
        }
        self
    }
}
