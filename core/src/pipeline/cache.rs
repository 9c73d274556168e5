//! Between admission and the attempts: whether the answer is there already, and whether this one will be.
//!
//! Whoever comes here may ask: the key, the model and every limit have been judged, and a hold is in the ledger. A hit gives
//! it back whole.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use gatelet_wire::chat::{self, Response as Whole};
use gatelet_wire::dialect::Reading;
use gatelet_wire::tape::{self, Tape};
use gatelet_wire::{DialectId, Loss, Operation, canon, fold};
use http::Response;
use http::header::HeaderValue;
use std::pin::pin;

use super::admit::Admitted;
use super::attempt::{encoder, within, written};
use super::books::{Books, Ending};
use super::headers::{self, Head};
use super::receive::Received;
use super::relay::finish;
use super::residency::Pins;
use super::semantic::{self, Place};
use super::wish::Wish;
use crate::cache::{Cache, Entry, Flight, Form, Label, Name, Naming};
use crate::domain::{Caller, Timestamp};
use crate::policy::{Caching, Model, Semantic, Share, Target};
use crate::port::Body;
use crate::refusal::Refusal;
use crate::shared::Core;

/// What the cache says of a request.
pub(super) enum Looked<'a> {
    Answered(Response<Body>),
    Ask(Box<Admitted<'a>>, Option<Box<Keeping>>),
}

/// An answer that is to be kept, if it becomes whole.
pub(super) struct Keeping {
    core: Arc<Core>,
    name: Name,
    ttl: Duration,
    label: Label,
    /// Others wait for it.
    _flight: Option<Flight>,
    answer: Option<(Form, Bytes)>,
    /// Where the question stands among those that are compared by their meaning.
    place: Option<(Box<Place>, Arc<Semantic>)>,
}

/// The longest wait for another's answer, between two looks.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
/// Requests of one process that may wait for another's answer at the same time; further ones ask by themselves.
const MOST_WAITING: usize = 1_000;

/// Looks for the answer.
pub(super) async fn look<'a>(
    core: &Arc<Core>,
    caching: &Caching,
    mut admitted: Admitted<'a>,
) -> Result<Looked<'a>, Refusal> {
    let wish = match Wish::read(admitted.received.arrived, caching) {
        Ok(wish) => wish,
        Err(refusal) => {
            let Admitted { mut books, .. } = admitted;
            books.fail(&refusal);
            return Err(refusal);
        }
    };
    if !wish.uses || !fits(&admitted.received) {
        return Ok(Looked::Ask(Box::new(admitted), None));
    }
    let policy = core.policy();
    let pins = Pins::of(&policy, &admitted.caller);
    let region = policy.cache_bounds().region.as_deref();
    admitted.books.kept(pins.kept(std::iter::once(("cache".to_owned(), region))));
    if !pins.keep_in(region) {
        return Ok(Looked::Ask(Box::new(admitted), None));
    }
    let name = name(&admitted.received, &admitted.caller, &pins, &admitted.model, caching.share, &wish);
    let (mut flight, mut place) = (None, None);
    if wish.reads {
        let patience = admitted.model.timeouts.first;
        let found = match found(core, &name).await {
            Some(entry) => Some(entry),
            None if wish.writes => {
                flight = core.cache.begin(name);
                if flight.is_some() {
                    // Whoever had asked may have been done between the look and this.
                    core.cache.here(&name, core.ports.clock.now())
                } else {
                    let (own, entry) = awaited(core, name, patience).await;
                    flight = own;
                    entry
                }
            }
            None => None,
        };
        let now = core.ports.clock.now();
        let fresh = |entry: &Arc<Entry>| {
            let age = now.since(Timestamp::from_micros(entry.label.made));
            wish.max_age.is_none_or(|most| age <= most)
        };
        if let Some(entry) = found.filter(fresh) {
            match replay(&admitted.received, &entry) {
                Some(again) => return Ok(Looked::Answered(give(core, admitted, &entry, None, again).await)),
                // It cannot be said in this dialect, or is none of ours: nobody asks for it again.
                None => core.cache.forget(&name),
            }
        }
        if let Some(semantic) = &caching.semantic {
            let placed = Box::pin(placed(core, caching, semantic, &admitted, &wish)).await;
            place = placed.map(|place| (place, semantic.clone()));
            if let Some((place, _)) = &place
                && let Some((entry, alike)) = resembling(core, semantic, place).await
                && fresh(&entry)
                && let Some(again) = replay(&admitted.received, &entry)
            {
                let answer = give(core, admitted, &entry, Some(alike), again).await;
                return Ok(Looked::Answered(answer));
            }
        }
    }
    let keeping = wish.writes.then(|| {
        let arrived = admitted.received.arrived;
        let key = &admitted.caller.key;
        let mut tags = key.tags.clone();
        tags.extend(arrived.knobs.tags.iter().filter(|tag| !key.tags.contains(tag)).cloned());
        let made = arrived.started.micros();
        let label = Label {
            made,
            until: made,
            cost: 0,
            target: String::new(),
            key: key.id.clone(),
            model: admitted.model.name.to_string(),
            tags,
            form: Form::Tape,
        };
        Box::new(Keeping {
            core: core.clone(),
            name,
            ttl: wish.ttl,
            label,
            _flight: flight,
            answer: None,
            place,
        })
    });
    Ok(Looked::Ask(Box::new(admitted), keeping))
}

/// What may be kept: conversations, and what is asked and answered in JSON and means the same whenever it is asked.
fn fits(received: &Received<'_>) -> bool {
    let arrived = received.arrived;
    let kind = match arrived.operation {
        Operation::Chat | Operation::Embedding | Operation::Rerank | Operation::Moderation => true,
        Operation::Completion
        | Operation::TokenCount
        | Operation::Image
        | Operation::ImageEdit
        | Operation::Speech
        | Operation::Transcription
        | Operation::Translation
        | Operation::Native => false,
    };
    kind && arrived.native.is_none() && !arrived.upload.is_there()
}

/// Where the question stands among those that are compared by their meaning. None: it is not compared.
async fn placed(
    core: &Arc<Core>,
    caching: &Caching,
    semantic: &Semantic,
    admitted: &Admitted<'_>,
    wish: &Wish,
) -> Option<Box<Place>> {
    let Admitted { received, caller, model, .. } = admitted;
    let request = said(received)?;
    let policy = core.policy();
    let pins = Pins::of(&policy, caller);
    let naming = around(received, caller, &pins, model, caching.share, wish).with(b"meant");
    semantic::place(core, semantic, &request, naming, received, caller).await.map(Box::new)
}

/// The answer to the nearest of the questions that are near enough, and the cosine.
async fn resembling(core: &Arc<Core>, semantic: &Semantic, place: &Place) -> Option<(Arc<Entry>, f64)> {
    /// So many answers may turn out to be gone.
    const TRIES: usize = 3;
    let policy = core.policy();
    let bounds = policy.cache_bounds();
    for _ in 0..TRIES {
        let Place { space, vector } = place;
        let (ports, least) = (&core.ports, semantic.threshold);
        let nearest = match &semantic.index {
            Some(index) => core.cache.nearest_in(ports, bounds, index, *space, vector, least).await,
            None => core.cache.nearest(ports, bounds, *space, vector, least).await,
        };
        let (answer, alike) = nearest?;
        if let Some(entry) = found(core, &answer).await {
            // More digits say nothing.
            return Some((entry, (f64::from(alike) * 10_000.0).round() / 10_000.0));
        }
        match &semantic.index {
            // It takes a while until it is gone there.
            Some(index) => {
                core.cache.disown_in(ports, index, answer);
                return None;
            }
            None => core.cache.disown(*space, &answer),
        }
    }
    None
}

/// The name of the answer: everything that it depends on, and nothing else.
fn name(
    received: &Received<'_>,
    caller: &Caller,
    pins: &Pins<'_>,
    model: &Model,
    share: Share,
    wish: &Wish,
) -> Name {
    let mut naming = around(received, caller, pins, model, share, wish);
    if let Some(request) = said(received) {
        let mut naming = naming.with(b"said");
        canon::request(&request, &mut |bytes| naming.push(bytes));
        return naming.finish();
    }
    naming = naming.with(received.arrived.dialect.name().as_bytes());
    for (field, value) in received.fields.iter().filter(|(field, _)| *field != "model") {
        naming = naming.with(field.as_bytes()).with(value.get().as_bytes());
    }
    naming.finish()
}

/// What an answer depends on beside the request's body.
fn around(
    received: &Received<'_>,
    caller: &Caller,
    pins: &Pins<'_>,
    model: &Model,
    share: Share,
    wish: &Wish,
) -> Naming {
    let arrived = received.arrived;
    let naming = Naming::default()
        .with(b"1")
        .with(whose(received, caller, share).as_bytes())
        .with(wish.namespace.as_deref().unwrap_or_default().as_bytes())
        .with(arrived.operation.name().as_bytes());
    let mut naming = behind(model, naming);
    // What a target outside has answered is given to nobody who may not ask it.
    for pin in pins.words() {
        naming = naming.with(pin.as_bytes());
    }
    for beta in arrived.headers.get_all("anthropic-beta") {
        naming = naming.with(beta.as_bytes());
    }
    naming
}

/// Whatever of the configuration changes what a model answers: the one place for it.
fn behind(model: &Model, naming: Naming) -> Naming {
    let naming = naming.with(model.name.as_str().as_bytes());
    model.targets.iter().fold(naming, |naming, target| naming.with(target.name().as_bytes()))
}

/// Who else is given the same answer.
fn whose(received: &Received<'_>, caller: &Caller, share: Share) -> String {
    let key = &caller.key;
    let one = |kind: &str, id: &str| format!("{}/{kind}/{id}", key.shard);
    match share {
        Share::Public => "public".to_owned(),
        Share::Org => key.org.as_deref().map_or_else(|| one("key", &key.id), |org| one("org", org)),
        Share::Team => key.team.as_deref().map_or_else(|| one("key", &key.id), |team| one("team", team)),
        Share::Key => one("key", &key.id),
        Share::Customer => {
            let customer = received.arrived.knobs.customer.as_deref().unwrap_or_default();
            format!("{}/{customer}", one("customer", &key.id))
        }
    }
}

/// A conversation in no particular dialect. None: it is none, or only its own provider can read it.
fn said(received: &Received<'_>) -> Option<chat::Request> {
    let chat = received.arrived.operation == Operation::Chat;
    chat.then(|| super::lane::read(received).ok())?
}

async fn found(core: &Core, name: &Name) -> Option<Arc<Entry>> {
    let policy = core.policy();
    let bounds = policy.cache_bounds();
    let look = pin!(core.cache.get(&core.ports, bounds, name));
    let found = within(core, bounds.wait, look).await;
    found.unwrap_or_else(|| {
        core.cache.late(&core.ports);
        None
    })
}

/// Waits for the answer that another asks for. Where that one came to nothing, one of those who wait asks next; whoever has
/// waited for two of them, or for too long, asks by itself.
async fn awaited(core: &Core, name: Name, patience: Duration) -> (Option<Flight>, Option<Arc<Entry>>) {
    let Some(_place) = Waits::take(&core.cache) else { return (None, None) };
    let ends = core.ports.clock.now().after(patience);
    for _ in 0..2 {
        let mut pause = SHORTEST_PAUSE;
        while core.cache.is_asked_for(&name) {
            if core.ports.clock.now() >= ends {
                return (None, None);
            }
            core.ports.clock.sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        if let Some(entry) = core.cache.here(&name, core.ports.clock.now()) {
            return (None, Some(entry));
        }
        if let Some(own) = core.cache.begin(name) {
            return (Some(own), None);
        }
    }
    (None, None)
}

/// One of the places of those who wait.
struct Waits<'a>(&'a Cache);

impl<'a> Waits<'a> {
    fn take(cache: &'a Cache) -> Option<Self> {
        if cache.waiting.fetch_add(1, Ordering::Relaxed) < MOST_WAITING {
            return Some(Self(cache));
        }
        cache.waiting.fetch_sub(1, Ordering::Relaxed);
        None
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A kept answer in the caller's words.
struct Again {
    body: Bytes,
    stream: bool,
    loss: Loss,
}

/// None: what is kept cannot be read, or is another kind of answer.
fn replay(received: &Received<'_>, entry: &Entry) -> Option<Again> {
    let asked = &received.asked;
    let arrived = received.arrived;
    let mut loss = Loss::default();
    let events = match entry.label.form {
        Form::Body { dialect, .. } if dialect == arrived.dialect && !asked.stream => {
            return Some(Again { body: entry.answer.clone(), stream: false, loss });
        }
        Form::Body { dialect, reasoning_outside, think_tags } => {
            if arrived.operation != Operation::Chat {
                return None;
            }
            let reading = Reading { reasoning_outside, think_tags };
            let response = dialect.dialect().read_response(&entry.answer, reading).ok()?;
            if !asked.stream {
                let body = written(received, &response, &mut loss).into();
                return Some(Again { body, stream: false, loss });
            }
            fold::unfold(&response)
        }
        Form::Tape => {
            let events = tape::read(&entry.answer)?;
            if !asked.stream {
                let body = written(received, &fold::fold(&events), &mut loss).into();
                return Some(Again { body, stream: false, loss });
            }
            events
        }
    };
    let mut encoder = encoder(received);
    let mut out = Vec::with_capacity(entry.answer.len() * 2);
    for event in &events {
        encoder.push(event, &mut out, &mut loss);
    }
    Some(Again { body: out.into(), stream: true, loss })
}

/// Answers with what was kept. Nothing was asked, so nothing is charged; what that saved is written down.
/// `alike`: the cosine of the question to which it was given, if that is not this one.
async fn give(
    core: &Arc<Core>,
    admitted: Admitted<'_>,
    entry: &Entry,
    alike: Option<f64>,
    again: Again,
) -> Response<Body> {
    let Admitted { received, mut books, headroom, marks, .. } = admitted;
    let Again { body, stream, loss } = again;
    books.marked(&marks);
    books.lost(&loss);
    books.hit(alike, &entry.label.target, entry.label.cost(), core.ports.clock.now());
    books.sent(body.len());
    if let Some(keeper) = books.keeper() {
        keeper.answered(&body, stream);
    }
    let _ = books.close(Ending::done(200)).await;
    let mut head = Head::new();
    headers::limits(&mut head, received.arrived.dialect, &headroom, core.ports.clock.now());
    headers::again(&mut head, &entry.label.target, alike, &marks);
    headers::loss(&mut head, &loss);
    headers::cost(&mut head, books.cost());
    headers::times(&mut head, core, &received, &books);
    if !stream {
        return finish(head, HeaderValue::from_static("application/json"), Body::Full(body));
    }
    let body = futures_util::stream::iter([Ok(body)]);
    let media = super::relay::media(&received);
    finish(head, media, Body::Stream(Box::pin(body)))
}

impl Keeping {
    /// What a stream's events are recorded on.
    pub(super) fn tape(&self) -> Tape {
        Tape::new(self.core.policy().cache_bounds().entry)
    }

    /// The answer in no particular dialect.
    pub(super) fn said(&mut self, response: &Whole) {
        let mut tape = self.tape();
        for event in fold::unfold(response) {
            tape.push(&event);
        }
        self.recorded(tape);
    }

    /// The answer's events, to their end.
    pub(super) fn recorded(&mut self, tape: Tape) {
        self.answer = tape.finish().map(|tape| (Form::Tape, tape.into()));
    }

    /// The answer as its caller reads it, unless it is known in another form.
    pub(super) fn body(&mut self, dialect: DialectId, target: &Target, body: &Bytes) {
        let Reading { reasoning_outside, think_tags } = target.provider.reading();
        let form = Form::Body { dialect, reasoning_outside, think_tags };
        self.answer.get_or_insert_with(|| (form, body.clone()));
    }

    /// Keeps the answer, which is whole and in the books.
    pub(super) fn keep(self, books: &Books, target: &str) {
        let Self { core, name, ttl, mut label, _flight, answer, place } = self;
        let Some((form, answer)) = answer else { return };
        // An answer that ended where a limit of this caller's cut it off is nobody else's.
        if books.cut_off() {
            return;
        }
        let policy = core.policy();
        let bounds = policy.cache_bounds();
        if answer.len() > bounds.entry {
            return;
        }
        let until = core.ports.clock.now().after(ttl);
        label.until = until.micros();
        label.cost = books.cost().nanos();
        target.clone_into(&mut label.target);
        label.form = form;
        core.cache.put(&core.ports, bounds, name, Entry { label, answer });
        if let Some((place, semantic)) = place {
            let (ports, Place { space, vector }) = (&core.ports, *place);
            match &semantic.index {
                Some(index) => core.cache.remember_in(ports, index, space, vector, name),
                None => core.cache.remember(ports, bounds, space, &vector, name, until),
            }
        }
    }
}

impl std::fmt::Debug for Keeping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeping").field("name", &self.name.hex()).finish_non_exhaustive()
    }
}
