//! Thoughts between `<think>` and `</think>` at the beginning of the content.

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// Parts content into thoughts and text, however the tags are cut over chunks.
#[derive(Debug, Default)]
pub(super) struct Tags {
    state: State,
    /// What may be the beginning of a tag.
    held: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Before,
    Inside,
    /// After the thought, where blank lines are no content.
    Between,
    After,
}

impl Tags {
    /// Gives the thought and the text that are certain now.
    pub(super) fn push(&mut self, content: &str) -> (String, String) {
        self.held.push_str(content);
        let (mut thought, mut text) = (String::new(), String::new());
        loop {
            match self.state {
                State::Before => {
                    let begun = self.held.trim_start();
                    if let Some(rest) = begun.strip_prefix(OPEN) {
                        self.held = rest.to_owned();
                        self.state = State::Inside;
                    } else if OPEN.starts_with(begun) {
                        return (thought, text);
                    } else {
                        self.state = State::After;
                    }
                }
                State::Inside => {
                    if let Some((inside, rest)) = self.held.split_once(CLOSE) {
                        thought.push_str(inside);
                        self.held = rest.to_owned();
                        self.state = State::Between;
                    } else {
                        let keep = (1..CLOSE.len()).rev().find(|length| {
                            CLOSE.get(..*length).is_some_and(|begun| self.held.ends_with(begun))
                        });
                        let certain = self.held.len() - keep.unwrap_or(0);
                        thought.push_str(self.held.get(..certain).unwrap_or_default());
                        self.held.drain(..certain);
                        return (thought, text);
                    }
                }
                State::Between => {
                    let begun = self.held.trim_start();
                    if begun.is_empty() {
                        return (thought, text);
                    }
                    self.held = begun.to_owned();
                    self.state = State::After;
                }
                State::After => {
                    text.push_str(&std::mem::take(&mut self.held));
                    return (thought, text);
                }
            }
        }
    }

    /// The content ended: what was held is what it looks like.
    pub(super) fn finish(&mut self) -> (String, String) {
        let held = std::mem::take(&mut self.held);
        match self.state {
            State::Inside => (held, String::new()),
            State::Before | State::Between | State::After => (String::new(), held),
        }
    }
}

/// Parts a whole content.
pub(super) fn split(content: &str) -> (String, String) {
    let mut tags = Tags::default();
    let (mut thought, mut text) = tags.push(content);
    let rest = tags.finish();
    thought.push_str(&rest.0);
    text.push_str(&rest.1);
    (thought, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn think_tags_split_over_chunks_are_found_at_any_cut() {
        for (content, expected) in [
            ("<think>why\n<b></think>\n\nbecause", ("why\n<b>", "because")),
            ("\n<think></think>a</think>", ("", "a</think>")),
            ("a <think> b", ("", "a <think> b")),
            ("<thin", ("", "<thin")),
            ("<think>unended </thi", ("unended </thi", "")),
            ("<think>日本</think>🦀", ("日本", "🦀")),
        ] {
            let expected = (expected.0.to_owned(), expected.1.to_owned());
            assert_eq!(split(content), expected);
            for cut in (0..content.len()).filter(|cut| content.is_char_boundary(*cut)) {
                let mut tags = Tags::default();
                let (left, right) = content.split_at(cut);
                let pieces = [tags.push(left), tags.push(right), tags.finish()];
                let whole = pieces
                    .into_iter()
                    .fold((String::new(), String::new()), |all, piece| (all.0 + &piece.0, all.1 + &piece.1));
                assert_eq!(whole, expected, "{content} cut at {cut}");
            }
        }
    }
}
