//! What a question is about: by how alike it is to examples, as an embedding model of the gateway's own sees it.

use super::external::{Question, Verdict};
use super::scan::Kind;

/// Topics that are allowed, and that are denied.
#[derive(Clone, Debug)]
pub struct Topics {
    /// The model that makes vectors of texts, by the name that the gateway knows it by.
    pub model: Box<str>,
    /// The cosine from which on a text is of an example's topic.
    pub threshold: f32,
    /// The model is asked at its caller's expense.
    pub billed: bool,
    /// Those that questions must be of; none: any.
    pub allow: Vec<Topic>,
    pub deny: Vec<Topic>,
}

#[derive(Clone, Debug)]
pub struct Topic {
    pub name: Kind,
    pub examples: Vec<String>,
}

/// A question in pieces that embedding models read whole.
#[derive(Debug, Default)]
pub struct Pieces {
    /// The newest first.
    pub texts: Vec<String>,
    /// So many are of what was said last.
    last: usize,
}

impl Topics {
    /// Examples of one guard, and bytes of one of them.
    pub const MOST_EXAMPLES: usize = 128;
    pub const LONGEST: usize = 500;
    /// The cosine, unless an admin says another.
    pub const USUAL: f32 = 0.5;

    /// All examples, in the order in which [`judge`](Self::judge) asks for them.
    pub fn examples(&self) -> impl Iterator<Item = &str> {
        self.deny.iter().chain(&self.allow).flat_map(|topic| topic.examples.iter().map(String::as_str))
    }

    /// `alike` says the cosine of an example and a piece, by their numbers.
    pub fn judge(&self, pieces: &Pieces, alike: impl Fn(usize, usize) -> f32) -> Verdict {
        let mut first = 0;
        let mut is_of = |topic: &Topic, count: usize| {
            let examples = first..first + topic.examples.len();
            first = examples.end;
            examples.into_iter().any(|nth| (0..count).any(|piece| alike(nth, piece) >= self.threshold))
        };
        let all = pieces.texts.len();
        let mut found: Vec<Kind> =
            self.deny.iter().filter(|topic| is_of(topic, all)).map(|topic| topic.name.clone()).collect();
        let allowed = self.allow.iter().filter(|topic| is_of(topic, pieces.last)).count();
        if !self.allow.is_empty() && allowed == 0 && pieces.last > 0 {
            found.push("off-topic".into());
        }
        Verdict { found, ..Verdict::default() }
    }
}

impl Pieces {
    /// Many models read no more than 512 tokens of a text, and do not say so.
    const LONGEST: usize = 1_600;
    /// More is not judged: the oldest.
    const MOST: usize = 32;
    /// What is shorter says nothing by itself: `yes, please`.
    const SHORTEST: usize = 24;

    pub fn of(question: &Question) -> Self {
        let mut texts = question.texts.iter().rev().map(|text| text.trim()).filter(|text| !text.is_empty());
        let mut pieces = Self::default();
        let mut newest = String::new();
        for text in texts.by_ref() {
            newest = if newest.is_empty() { text.to_owned() } else { format!("{text}\n{newest}") };
            if newest.chars().count() >= Self::SHORTEST {
                break;
            }
        }
        pieces.cut(&newest);
        pieces.last = pieces.texts.len();
        texts.for_each(|text| pieces.cut(text));
        pieces
    }

    fn cut(&mut self, text: &str) {
        let mut rest = text;
        while !rest.is_empty() && self.texts.len() < Self::MOST {
            let mut start = rest.len().saturating_sub(Self::LONGEST);
            while !rest.is_char_boundary(start) {
                start += 1;
            }
            let (before, piece) = rest.split_at(start);
            self.texts.push(piece.to_owned());
            rest = before;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::Direction;

    fn pieces(texts: &[&str]) -> Pieces {
        let texts = texts.iter().map(|text| (*text).to_owned()).collect();
        Pieces::of(&Question { texts, direction: Direction::In, grounds: None })
    }

    #[test]
    fn a_question_is_cut_from_its_end_and_what_is_short_is_read_with_what_stands_before_it() {
        let long = "ä".repeat(1_000);
        let made = pieces(&["What is the weather like there?", &long, "", "yes, please"]);
        assert!(made.texts[0].ends_with("yes, please") && made.texts[0].len() <= Pieces::LONGEST);
        assert_eq!(made.last, 2);
        assert_eq!(made.texts.last().unwrap(), "What is the weather like there?");
        assert_eq!(pieces(&[&"x ".repeat(100_000)]).texts.len(), Pieces::MOST);
        assert!(pieces(&["", " "]).texts.is_empty());
    }

    #[test]
    fn topics_are_denied_wherever_they_are_and_allowed_by_what_was_said_last() {
        let topic = |name: &str, count| Topic { name: name.into(), examples: vec!["a".to_owned(); count] };
        let topics = Topics {
            model: "m".into(),
            threshold: 0.5,
            billed: false,
            allow: vec![topic("bills", 2)],
            deny: vec![topic("arms", 1), topic("drugs", 1)],
        };
        let made = pieces(&["an older text that has a length", "a newer text that has a length"]);
        let found = |alike: &[(usize, usize)]| {
            let verdict =
                topics.judge(&made, |one, other| if alike.contains(&(one, other)) { 0.6 } else { 0.1 });
            verdict.found.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(found(&[(3, 0)]), [""; 0]);
        assert_eq!(found(&[(3, 1)]), ["off-topic"]);
        assert_eq!(found(&[(1, 1), (2, 0)]), ["drugs"]);
        assert_eq!(found(&[(0, 0)]), ["arms", "off-topic"]);
        assert!(topics.judge(&Pieces::default(), |_, _| 0.0).found.is_empty());
    }
}
