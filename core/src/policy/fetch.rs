//! What may be fetched of that which callers name by URL.

use std::time::Duration;

use http::Uri;

use crate::port::{Reach, is_public_host};

/// Rules for fetching images and files whose target takes nothing but their bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Bytes of one file, and of all files of one request.
    pub file: usize,
    pub total: usize,
    /// Different addresses of one request.
    pub files: usize,
    /// For all of them, redirects included.
    pub time: Duration,
    pub redirects: u32,
    /// http is as good as https.
    pub(super) http: bool,
    /// The only public hosts that are asked; none: all of them.
    pub(super) hosts: Option<Vec<Name>>,
    /// Hosts with their ports that are asked wherever they are.
    pub(super) private: Vec<String>,
}

/// A host's name in lower case, or all names below one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Exactly(String),
    /// `.example.com`
    Below(String),
}

impl Default for Fetch {
    fn default() -> Self {
        Self {
            file: 20_000_000,
            total: 20_000_000,
            files: 8,
            time: Duration::from_secs(10),
            redirects: 3,
            http: false,
            hosts: None,
            private: Vec::new(),
        }
    }
}

impl Fetch {
    /// How `uri` may be reached.
    ///
    /// # Errors
    /// It may not: the rest of a sentence that begins with the address.
    pub fn reach(&self, uri: &Uri) -> Result<Reach, &'static str> {
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err("is no whole http(s) address");
        };
        let host = authority.host();
        // A name and password would go to whoever is there; nobody needs them for a picture.
        if authority.as_str().contains('@') {
            return Err("has a user in it");
        }
        let usual = match scheme {
            "https" => 443,
            "http" => 80,
            _ => return Err("is no http(s) address"),
        };
        let port = authority.port_u16().unwrap_or(usual);
        let named = format!("{}:{port}", host.to_ascii_lowercase());
        if self.private.contains(&named) {
            return Ok(Reach::Private);
        }
        if !is_public_host(host) {
            return Err("is not at a public host");
        }
        if self.hosts.as_ref().is_some_and(|hosts| !hosts.iter().any(|name| name.covers(host))) {
            return Err("is not at one of the hosts that this gateway fetches from");
        }
        match scheme {
            "https" => Ok(Reach::Public),
            _ if self.http => Ok(Reach::PublicPlain),
            _ => Err("is not https"),
        }
    }
}

impl Name {
    /// `example.com`, or `*.example.com`.
    pub(super) fn read(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let (name, star) = match text.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (text.as_str(), false),
        };
        is_public_host(name)
            .then(|| if star { Self::Below(format!(".{name}")) } else { Self::Exactly(name.to_owned()) })
    }

    fn covers(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        match self {
            Self::Exactly(name) => host == *name,
            Self::Below(end) => host.ends_with(end.as_str()),
        }
    }
}

/// A host and its port, in lower case: `files.internal:8080`, `10.0.0.5:80`.
pub(super) fn place(text: &str) -> Option<String> {
    let authority: http::uri::Authority = text.parse().ok()?;
    let sound = authority.port_u16().is_some() && !text.contains('@') && !authority.host().is_empty();
    sound.then(|| text.to_ascii_lowercase())
}

/// A number of bytes: `20 MB`, `512 KB`.
pub(super) fn size(text: &str) -> Option<usize> {
    const MOST: usize = 100_000_000;
    let (count, unit) = text.split_once(' ')?;
    let unit = match unit {
        "KB" => 1_000,
        "MB" => 1_000_000,
        _ => return None,
    };
    let size = count.parse::<usize>().ok()?.checked_mul(unit)?;
    (1..=MOST).contains(&size).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(rules: &Fetch, uri: &str) -> Result<Reach, &'static str> {
        rules.reach(&uri.parse().unwrap())
    }

    #[test]
    fn by_default_every_public_host_is_asked_by_https_and_no_other() {
        let rules = Fetch::default();
        assert_eq!(reach(&rules, "https://example.com/a.png"), Ok(Reach::Public));
        assert_eq!(reach(&rules, "https://8.8.8.8:8443/a.png"), Ok(Reach::Public));
        for refused in [
            "http://example.com/a.png",
            "ftp://example.com/a.png",
            "https://user:word@example.com/a.png",
            "https://example.com@127.0.0.1/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://169.254.169.254/latest/meta-data",
            "https://2130706433/",
            "https://0177.0.0.1/",
            "https://localhost/",
            "https://metadata.google.internal/",
            "/relative",
        ] {
            assert!(reach(&rules, refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn a_list_of_hosts_leaves_nothing_else() {
        let hosts = ["example.com", "*.example.org"].map(|name| Name::read(name).unwrap()).to_vec();
        let rules = Fetch { hosts: Some(hosts), ..Fetch::default() };
        for allowed in ["https://EXAMPLE.com/a", "https://example.com./a", "https://a.b.example.org/a"] {
            assert_eq!(reach(&rules, allowed), Ok(Reach::Public), "{allowed}");
        }
        for refused in
            ["https://a.example.com/", "https://example.org/", "https://badexample.org/", "https://1.1.1.1/"]
        {
            assert!(reach(&rules, refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn a_private_place_is_named_with_its_port_and_opens_no_other() {
        let private = vec![place("127.0.0.1:4001").unwrap(), place("Files.Internal:80").unwrap()];
        let rules = Fetch { private, ..Fetch::default() };
        assert_eq!(reach(&rules, "http://127.0.0.1:4001/a"), Ok(Reach::Private));
        assert_eq!(reach(&rules, "http://files.internal/a"), Ok(Reach::Private));
        for refused in [
            "http://127.0.0.1/a",
            "http://127.0.0.1:4002/a",
            "http://2130706433:4001/",
            "https://files.internal/",
        ] {
            assert!(reach(&rules, refused).is_err(), "{refused}");
        }
        assert_eq!(place("127.0.0.1"), None);
        assert_eq!(place("a@b:80"), None);
    }

    #[test]
    fn http_is_another_reach_where_it_is_allowed() {
        let rules = Fetch { http: true, ..Fetch::default() };
        assert_eq!(reach(&rules, "http://example.com/"), Ok(Reach::PublicPlain));
        assert!(reach(&rules, "http://10.0.0.1/").is_err());
    }

    #[test]
    fn sizes_have_a_unit_and_an_end() {
        assert_eq!(size("20 MB"), Some(20_000_000));
        assert_eq!(size("512 KB"), Some(512_000));
        for wrong in ["20", "20MB", "0 MB", "1 GB", "101 MB", "-1 MB"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }

    /// One byte of an address, as readers of addresses are known to take it.
    fn spelled(byte: u8, way: u8) -> String {
        match way % 4 {
            0 => byte.to_string(),
            1 => format!("0{byte:o}"),
            2 => format!("0x{byte:x}"),
            _ => format!("0000{byte:o}"),
        }
    }

    proptest::proptest! {
        /// Numbers in any spelling are an address that is judged, or no host at all: never a name that is left to a resolver.
        #[test]
        fn no_spelling_of_a_private_address_is_reached(bytes: [u8; 4], ways: [u8; 4], form in 0..4) {
            let [a, b, c, d] = bytes;
            let inside = [[10, b, c, d], [127, b, c, d], [169, 254, c, d], [192, 168, c, d], [172, 16 | (b & 15), c, d]];
            for [a, b, c, d] in inside {
                let rest = u32::from_be_bytes([0, b, c, d]);
                let host = match form {
                    0 => [a, b, c, d].iter().zip(ways).map(|(byte, way)| spelled(*byte, way)).collect::<Vec<_>>().join("."),
                    1 => format!("{}.{rest}", spelled(a, ways[0])),
                    2 => u32::from_be_bytes([a, b, c, d]).to_string(),
                    _ => format!("0x{:x}", u32::from_be_bytes([a, b, c, d])),
                };
                for dot in ["", "."] {
                    let uri: Uri = format!("https://{host}{dot}/a.png").parse().unwrap();
                    proptest::prop_assert!(Fetch::default().reach(&uri).is_err(), "{}", uri);
                }
            }
            let _ = a;
        }
    }
}
