//! The law of event order, as a machine that names the first breach. For tests: nothing in production asks it.

use std::collections::BTreeMap;

use super::{Delta, Event, PartKind};

/// Checks one stream, event by event.
#[derive(Clone, Debug, Default)]
pub struct Grammar {
    started: bool,
    ended: bool,
    choices: BTreeMap<u32, Choice>,
}

#[derive(Clone, Debug, Default)]
struct Choice {
    parts: u32,
    open: Option<PartKind>,
    stopped: bool,
}

impl Grammar {
    /// Takes the next event.
    ///
    /// # Errors
    /// Says in a sentence which rule it breaks.
    pub fn push(&mut self, event: &Event) -> Result<(), String> {
        if self.ended {
            return Err(format!("nothing follows the end, but {event:?} does"));
        }
        let free =
            matches!(event, Event::Start { .. } | Event::Ping | Event::Foreign { .. } | Event::Error(_));
        if !self.started && !free {
            return Err(format!("{event:?} stands before Start"));
        }
        match event {
            Event::Start { .. } if self.started => Err("Start stands twice".to_owned()),
            Event::Start { .. } => {
                self.started = true;
                Ok(())
            }
            Event::PartStart { choice, part, kind, .. } => self.choice(*choice)?.start(*part, kind),
            Event::Delta { choice, part, delta } => self.choice(*choice)?.delta(*part, delta),
            Event::PartStop { choice, part } => self.choice(*choice)?.stop_part(*part),
            Event::Stop { choice, .. } => self.choice(*choice)?.stop(),
            Event::Error(_) => {
                self.ended = true;
                Ok(())
            }
            Event::End => {
                self.ended = true;
                match self.choices.iter().find(|(_, choice)| choice.open.is_some()) {
                    Some((index, _)) => Err(format!("End, but a part of choice {index} is open")),
                    None => Ok(()),
                }
            }
            Event::Usage(_)
            | Event::Meta { .. }
            | Event::Ping
            | Event::Logprobs { .. }
            | Event::Foreign { .. } => Ok(()),
        }
    }

    /// Checks a whole stream.
    ///
    /// # Errors
    /// As [`Grammar::push`], with the place of the event.
    pub fn check<'a>(events: impl IntoIterator<Item = &'a Event>) -> Result<(), String> {
        let mut grammar = Self::default();
        for (at, event) in events.into_iter().enumerate() {
            grammar.push(event).map_err(|breach| format!("event {at}: {breach}"))?;
        }
        Ok(())
    }

    fn choice(&mut self, index: u32) -> Result<&mut Choice, String> {
        let choice = self.choices.entry(index).or_default();
        if choice.stopped { Err(format!("choice {index} goes on after its Stop")) } else { Ok(choice) }
    }
}

impl Choice {
    fn start(&mut self, part: u32, kind: &PartKind) -> Result<(), String> {
        if self.open.is_some() {
            return Err(format!("part {part} starts while the one before it is open"));
        }
        if part != self.parts {
            return Err(format!("part {part} starts where part {} is due", self.parts));
        }
        self.parts += 1;
        self.open = Some(kind.clone());
        Ok(())
    }

    fn delta(&self, part: u32, delta: &Delta) -> Result<(), String> {
        let Some(kind) = self.open.as_ref().filter(|_| part + 1 == self.parts) else {
            return Err(format!("a delta for part {part}, which is not open"));
        };
        let fits = match delta {
            Delta::Text(_) | Delta::Citation(_) => matches!(kind, PartKind::Text),
            Delta::Thinking(_) | Delta::Signature(_) => matches!(kind, PartKind::Thinking),
            Delta::Arguments(_) => matches!(kind, PartKind::ToolCall { .. }),
            Delta::Refusal(_) => matches!(kind, PartKind::Refusal),
        };
        if fits { Ok(()) } else { Err(format!("{delta:?} inside {kind:?}")) }
    }

    fn stop_part(&mut self, part: u32) -> Result<(), String> {
        if part + 1 != self.parts {
            return Err(format!("part {part} stops, which is not open"));
        }
        self.open.take().map(|_| ()).ok_or_else(|| format!("part {part} stops twice"))
    }

    fn stop(&mut self) -> Result<(), String> {
        self.stopped = true;
        if self.open.is_some() { Err("Stop while a part is open".to_owned()) } else { Ok(()) }
    }
}
