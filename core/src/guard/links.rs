//! Addresses of the web, and which hosts they may lead to.

use std::sync::Arc;

use gatelet_detect::link;

use super::scan::{Scanner, Span};

/// Hosts by name; `*.example.com` is all below that one and not itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    /// None: every one.
    pub allow: Option<Vec<String>>,
    pub deny: Vec<String>,
}

impl Hosts {
    fn allows(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let has = |list: &[String]| list.iter().any(|known| fits(known, &host));
        !has(&self.deny) && self.allow.as_deref().is_none_or(has)
    }
}

fn fits(known: &str, host: &str) -> bool {
    match known.strip_prefix("*.") {
        Some(parent) => {
            host.strip_suffix(parent).is_some_and(|below| below.len() > 1 && below.ends_with('.'))
        }
        None => known == host,
    }
}

/// Longer runs without a gap are judged in pieces.
const LONGEST: usize = 4_096;

/// Collects what has no gap in it, and looks for addresses there.
#[derive(Debug)]
pub(super) struct LinkMachine {
    hosts: Arc<Hosts>,
    run: String,
    /// Where the run begins.
    base: usize,
}

impl LinkMachine {
    pub(super) fn new(hosts: Arc<Hosts>) -> Self {
        Self { hosts, run: String::new(), base: 0 }
    }

    fn judge(&mut self, out: &mut Vec<Span>) {
        // Nothing shorter is an address.
        if self.run.len() > 4 {
            for link in link::scan(&self.run) {
                if !self.hosts.allows(link.host(&self.run)) {
                    out.push(Span { start: self.base + link.start, end: self.base + link.end });
                }
            }
        }
        self.base += self.run.len();
        self.run.clear();
    }
}

impl Scanner for LinkMachine {
    fn push(&mut self, text: &str, out: &mut Vec<Span>) {
        let mut rest = text;
        while let Some(gap) = rest.find(|letter: char| letter <= ' ') {
            let (run, later) = rest.split_at(gap);
            self.add(run, out);
            self.judge(out);
            self.base += 1;
            rest = later.get(1..).unwrap_or_default();
        }
        self.add(rest, out);
    }

    fn finish(&mut self, out: &mut Vec<Span>) {
        self.judge(out);
    }

    fn settled(&self) -> usize {
        self.base
    }
}

impl LinkMachine {
    fn add(&mut self, run: &str, out: &mut Vec<Span>) {
        let mut rest = run;
        while self.run.len() + rest.len() > LONGEST {
            let mut taken = LONGEST.saturating_sub(self.run.len()).min(rest.len());
            while !rest.is_char_boundary(taken) {
                taken += 1;
            }
            let (now, later) = rest.split_at(taken);
            self.run.push_str(now);
            self.judge(out);
            rest = later;
        }
        self.run.push_str(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_compared_as_names() {
        let hosts = Hosts {
            allow: Some(vec!["example.com".to_owned(), "*.example.org".to_owned()]),
            deny: vec!["bad.example.org".to_owned()],
        };
        for (host, allowed) in [
            ("example.com", true),
            ("EXAMPLE.com.", true),
            ("www.example.com", false),
            ("a.example.org", true),
            ("example.org", false),
            ("evilexample.org", false),
            ("bad.example.org", false),
        ] {
            assert_eq!(hosts.allows(host), allowed, "{host}");
        }
    }

    #[test]
    fn no_cut_changes_what_is_found() {
        let text = format!(
            "see https://a.test/x, (http://b.test) {}www.c.test end http://a.test",
            "x/".repeat(3_000)
        );
        let hosts =
            Arc::new(Hosts { allow: None, deny: ["a.test", "b.test", "c.test"].map(str::to_owned).to_vec() });
        let found = |step: usize| {
            let mut machine = LinkMachine::new(hosts.clone());
            let mut out = Vec::new();
            let mut rest = text.as_str();
            while !rest.is_empty() {
                let (now, later) = rest.split_at(step.min(rest.len()));
                machine.push(now, &mut out);
                assert!(machine.run.len() <= LONGEST);
                rest = later;
            }
            machine.finish(&mut out);
            out
        };
        let whole = found(text.len());
        assert_eq!(whole.iter().filter(|span| text[span.start..span.end].starts_with("http")).count(), 3);
        for step in [1, 7, 100, 4_095, 4_097] {
            assert_eq!(found(step), whole, "{step}");
        }
    }
}
