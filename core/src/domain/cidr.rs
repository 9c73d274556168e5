//! Ranges of addresses.

use std::net::IpAddr;

/// Addresses that begin with the same bits, such as `10.0.0.0/8`, `2001:db8::/32` or, alone, `192.0.2.7`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    bits: u32,
}

impl Cidr {
    /// None: it is no range, or its address has bits after those that count.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => bits.parse().ok()?,
            Some(_) => return None,
        };
        let range = Self { address, bits };
        (bits <= most && (number(address) & !range.mask()) == 0).then_some(range)
    }

    /// An address of version 4 within one of version 6 is that of version 4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let same = address.is_ipv4() == self.address.is_ipv4();
        same && number(address) & self.mask() == number(self.address)
    }

    /// The bits that count, from the first one of 128.
    fn mask(&self) -> u128 {
        u128::MAX.checked_shl(128 - self.bits).unwrap_or(0)
    }
}

/// The address from the first bit on.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)) << 96,
        IpAddr::V6(address) => u128::from(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(range: &str, address: &str) -> bool {
        Cidr::parse(range).unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn a_range_has_the_addresses_that_begin_as_it_does() {
        assert!(has("10.0.0.0/8", "10.255.0.1"));
        assert!(!has("10.0.0.0/8", "11.0.0.1"));
        assert!(has("0.0.0.0/0", "203.0.113.9"));
        assert!(!has("0.0.0.0/0", "2001:db8::1"));
        assert!(has("::/0", "2001:db8::1"));
        assert!(!has("::/0", "203.0.113.9"));
        assert!(has("192.0.2.7", "192.0.2.7"));
        assert!(!has("192.0.2.7", "192.0.2.8"));
        assert!(has("192.0.2.6/31", "192.0.2.7"));
        assert!(has("2001:db8::/33", "2001:db8:7fff::1"));
        assert!(!has("2001:db8::/33", "2001:db8:8000::1"));
        assert!(has("2001:db8::1/128", "2001:db8::1"));
        assert!(has("192.0.2.0/24", "::ffff:192.0.2.1"), "version 4 by way of version 6");
    }

    #[test]
    fn what_is_no_range_is_none() {
        for text in [
            "",
            "/",
            "10.0.0.0/",
            "/8",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "10.0.0/8",
            "::/129",
            "2001:db8::1/32",
            "10.0.0.0/8/8",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            " 10.0.0.0/8",
            "10.0.0.0/8 ",
            "example.com",
            "010.0.0.0/8",
            "::1%eth0",
            "10.0.0.0/4294967304",
        ] {
            assert_eq!(Cidr::parse(text), None, "{text}");
        }
    }
}
