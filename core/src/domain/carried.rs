//! What a caller's trace carries along: W3C `tracestate` and `baggage`.
//!
//! <https://www.w3.org/TR/trace-context-1/#tracestate-header>, <https://www.w3.org/TR/baggage/>

/// Both, within the bounds of their standards. What is not sound is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// The members as they came, parted by commas; empty: there are none.
    pub state: String,
    /// `name=value`, and what follows a semicolon, as they came.
    pub baggage: Vec<String>,
}

/// Members of a `tracestate`, and its length as far as it must be passed on.
const MOST_STATES: usize = 32;
const STATE: usize = 512;
/// A member that is longer is the first to go.
const LONG_STATE: usize = 128;
/// Members of a `baggage`, and its length.
const MOST_BAGGAGE: usize = 64;
const BAGGAGE: usize = 8_192;

impl Carried {
    pub fn is_empty(&self) -> bool {
        self.state.is_empty() && self.baggage.is_empty()
    }

    /// Reads a `tracestate`, whose lines are in their order. One wrong member makes all of it wrong; what is longer than must be
    /// passed on loses whole members, long ones first, then the last.
    pub fn read_state<'a>(&mut self, lines: impl Iterator<Item = &'a str>) {
        let mut members: Vec<&str> = Vec::new();
        for member in lines.flat_map(|line| line.split(',')).map(|member| member.trim_matches([' ', '\t'])) {
            if member.is_empty() {
                continue;
            }
            let name = member.split('=').next().unwrap_or_default();
            let twice = members.iter().any(|other| other.split('=').next() == Some(name));
            if twice || !is_state(member) || members.len() >= MOST_STATES {
                return;
            }
            members.push(member);
        }
        let length = |members: &[&str]| members.iter().map(|member| member.len() + 1).sum::<usize>();
        while length(&members) > STATE + 1 {
            let long = members.iter().rposition(|member| member.len() > LONG_STATE);
            members.remove(long.unwrap_or(members.len() - 1));
        }
        self.state = members.join(",");
    }

    /// Reads a `baggage`. A member that is wrong is left out, and so is what comes after the bounds are reached.
    pub fn read_baggage<'a>(&mut self, lines: impl Iterator<Item = &'a str>) {
        let mut room = BAGGAGE + 1;
        for member in lines.flat_map(|line| line.split(',')).map(|member| member.trim_matches([' ', '\t'])) {
            if !is_baggage(member) {
                continue;
            }
            let Some(left) = room.checked_sub(member.len() + 1) else { return };
            if self.baggage.len() >= MOST_BAGGAGE {
                return;
            }
            room = left;
            self.baggage.push(member.to_owned());
        }
    }
}

/// `name=value` of a `tracestate`: a lower-case name, at most one `@` in it, and a value of visible characters and spaces.
fn is_state(member: &str) -> bool {
    let Some((name, value)) = member.split_once('=') else { return false };
    let (tenant, system) =
        name.split_once('@').map_or((None, name), |(tenant, system)| (Some(tenant), system));
    let plain = |word: &str, most: usize| {
        let byte = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/".contains(&byte);
        !word.is_empty() && word.len() <= most && word.bytes().all(byte)
    };
    let named = match tenant {
        Some(tenant) => plain(tenant, 241) && plain(system, 14),
        None => plain(system, 256),
    };
    let byte = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'=' && byte != b',';
    named && !value.is_empty() && value.len() <= 256 && value.bytes().all(byte)
}

/// `name=value;property` of a `baggage`, its value percent-encoded.
fn is_baggage(member: &str) -> bool {
    let Some((name, value)) = member.split_once('=') else { return false };
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let octet = |byte: u8| byte.is_ascii_graphic() && !b"\"\\,".contains(&byte);
    let name = name.trim_end_matches([' ', '\t']);
    !name.is_empty()
        && name.bytes().all(token)
        && value.bytes().all(|byte| octet(byte) || byte == b' ' || byte == b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(lines: &[&str]) -> String {
        let mut carried = Carried::default();
        carried.read_state(lines.iter().copied());
        carried.state
    }

    fn baggage(lines: &[&str]) -> Vec<String> {
        let mut carried = Carried::default();
        carried.read_baggage(lines.iter().copied());
        carried.baggage
    }

    #[test]
    fn a_tracestate_is_whole_or_not_there() {
        assert_eq!(
            state(&["rojo=00f067aa0ba902b7, congo=t61rcWkgMzE", "fw529a3039@dt=x y"]),
            "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE,fw529a3039@dt=x y"
        );
        assert_eq!(state(&["a=1,,b=2"]), "a=1,b=2");
        for wrong in ["a", "A=1", "a=", "a=1,a=2", "a=1=2", "@a=1", "a@=1", "a@b@c=1", "a=\u{e4}"] {
            assert_eq!(state(&["z=1", wrong]), "", "{wrong}");
        }
        let many: Vec<String> = (0..33).map(|number| format!("k{number}=v")).collect();
        assert_eq!(state(&[&many[..32].join(",")]).split(',').count(), 32);
        assert_eq!(state(&[&many.join(",")]), "");
    }

    #[test]
    fn a_tracestate_that_is_too_long_loses_long_members_first() {
        let long = format!("long={}", "x".repeat(200));
        let others: Vec<String> = (0..16).map(|number| format!("k{number:02}={}", "y".repeat(20))).collect();
        let kept = state(&[&others[0], &long, &others[1..].join(",")]);
        assert_eq!(kept, others.join(","));
        let short: Vec<String> = (0..32).map(|number| format!("k{number:02}={}", "y".repeat(20))).collect();
        let kept = state(&[&short.join(",")]);
        assert!(kept.len() <= STATE && kept == short[..20].join(","), "{kept}");
    }

    #[test]
    fn baggage_keeps_what_is_sound_within_its_bounds() {
        assert_eq!(
            baggage(&["user=ann%20b;secret;p=1 , region = eu", "x=,=y,a b=c,q=\"z\",plain"]),
            ["user=ann%20b;secret;p=1", "region = eu", "x="]
        );
        let many: Vec<String> = (0..70).map(|number| format!("k{number}=v")).collect();
        assert_eq!(baggage(&[&many.join(",")]), many[..64]);
        let large: Vec<String> = (0..3).map(|number| format!("k{number}={}", "v".repeat(4_000))).collect();
        assert_eq!(baggage(&[&large.join(",")]), large[..2]);
    }
}
