//! Which addresses belong to the public internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// After the IANA registries of special-purpose addresses (RFC 6890): what they do not call globally reachable is refused,
/// as are addresses that carry such a one inside (mapped, NAT64, 6to4).
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Whether `host`, as it stands in a URL, is a public address or may be the name of one: what can be judged before
/// anybody resolves it.
///
/// Numbers that some read as addresses (`2130706433`, `0x7f.1`, `0177.0.0.1`) are refused, and so are names that only a
/// local network knows.
pub fn is_public_host(host: &str) -> bool {
    const LOCAL: [&str; 5] = ["localhost", "local", "internal", "lan", "home.arpa"];
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return address.parse().is_ok_and(is_public_v6);
    }
    if let Ok(address) = host.parse() {
        return is_public_v4(address);
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let Some((rest, last)) = name.rsplit_once('.') else { return false };
    rest.split('.').chain([last]).all(|label| !label.is_empty() && label.bytes().all(plain))
        && !last.starts_with(|first: char| first.is_ascii_digit())
        && !LOCAL.iter().any(|local| name.strip_suffix(local).is_some_and(|rest| rest.ends_with('.')))
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let bits = u32::from(address);
    !SPECIAL_V4.iter().any(|(network, length)| (bits ^ u32::from(*network)) >> (32 - length) == 0)
}

const SPECIAL_V4: [(Ipv4Addr, u32); 15] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Multicast, and what was reserved for the future, with broadcast.
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let inner =
        |first: usize| Ipv4Addr::from((u32::from(segments[first]) << 16) | u32::from(segments[first + 1]));
    match segments {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => is_public_v4(inner(6)),
        [0x2002, ..] => is_public_v4(inner(1)),
        // Protocol assignments (Teredo among them) and documentation.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // All else that is public is inside 2000::/3.
        [0x2000..=0x3fff, ..] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_reserved_and_disguised_addresses_are_not_public() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "::127.0.0.1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn addresses_of_the_internet_are_public() {
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.167.255.255",
            "198.17.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450:4001::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2002:808:808::",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn hosts_that_cannot_be_public_are_known_without_resolving_them() {
        for host in [
            "",
            ".",
            "localhost",
            "LocalHost.",
            "a.localhost",
            "printer.local",
            "metadata.google.internal",
            "vm",
            "2130706433",
            "0x7f000001",
            "127.1",
            "0177.0.0.1",
            "127.0.0.1",
            "127.0.0.1.",
            "127.0.0.0x1",
            "169.254.169.254",
            "[::1]",
            "[::ffff:169.254.169.254]",
            "[64:ff9b::7f00:1]",
            "::1",
            "exa mple.com",
            "127%2e0.com",
            "a..com",
            "ex\u{e4}mple.com",
        ] {
            assert!(!is_public_host(host), "{host}");
        }
        for host in [
            "example.com",
            "EXAMPLE.com.",
            "a-b.c_d.xn--p1ai",
            "1.1.1.1",
            "[2606:4700::1111]",
            "7.example.org",
        ] {
            assert!(is_public_host(host), "{host}");
        }
    }
}
