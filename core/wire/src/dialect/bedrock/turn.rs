//! Turns of a conversation as they are written: whatever this dialect cannot say is no longer in them.

use crate::Json;
use crate::chat::CacheMark;
use crate::dialect::turns;
use crate::object::{ListWriter, ObjectWriter};

use super::media::{Kind, Place};

pub(super) type Turn = turns::Turn<Body>;
pub(super) type Conversation = turns::Conversation<Body>;
/// A block, and the cache point after it.
pub(super) type Block = turns::Block<Body>;

#[derive(Clone, Debug)]
pub(super) enum Body {
    Text {
        text: String,
        citations: Vec<Json>,
    },
    Media {
        kind: Kind,
        format: Option<String>,
        place: Place,
    },
    Document {
        format: Option<String>,
        name: String,
        place: Place,
        context: Option<String>,
        citations: bool,
    },
    Call {
        id: String,
        name: String,
        input: Json,
    },
    Result {
        id: String,
        content: Vec<Body>,
        is_error: bool,
    },
    Thinking {
        text: String,
        signature: Option<String>,
    },
    Redacted {
        data: String,
    },
    /// The content of a block of this name.
    Named(&'static str, Json),
    /// A block in this dialect's own words.
    Raw(Json),
}

impl turns::Body for Body {
    fn text(text: String) -> Self {
        Self::Text { text, citations: Vec::new() }
    }

    fn text_mut(&mut self) -> Option<&mut String> {
        if let Self::Text { text, .. } = self { Some(text) } else { None }
    }

    fn is_result(&self) -> bool {
        matches!(self, Self::Result { .. })
    }

    fn is_thinking(&self) -> bool {
        matches!(self, Self::Thinking { .. } | Self::Redacted { .. })
    }

    fn called(&self) -> Option<&str> {
        if let Self::Call { name, .. } = self { Some(name) } else { None }
    }
}

impl Body {
    pub(super) fn is_text(&self) -> bool {
        matches!(self, Self::Text { .. } | Self::Named(..))
    }
}

pub(super) fn write_blocks(list: &mut ListWriter<'_>, blocks: &[Block]) {
    for block in blocks {
        write_body(list, &block.body);
        if let Some(mark) = &block.cache {
            write_cache_point(list, mark);
        }
    }
}

pub(super) fn write_cache_point(list: &mut ListWriter<'_>, mark: &CacheMark) {
    list.object(|object| {
        object.object("cachePoint", |object| {
            object.string("type", "default");
            if let Some(lifetime) = &mark.lifetime {
                object.string("ttl", lifetime);
            }
        });
    });
}

pub(super) fn write_body(list: &mut ListWriter<'_>, body: &Body) {
    match body {
        Body::Raw(json) => list.json(json),
        body => list.object(|object| fill(object, body)),
    }
}

fn fill(object: &mut ObjectWriter<'_>, body: &Body) {
    match body {
        Body::Text { text, citations } if citations.is_empty() => object.string("text", text),
        Body::Text { text, citations } => object.object("citationsContent", |object| {
            object.list("content", |list| list.object(|object| object.string("text", text)));
            object.list("citations", |list| citations.iter().for_each(|citation| list.json(citation)));
        }),
        Body::Media { kind, format, place } => {
            object.object(if *kind == Kind::Image { "image" } else { "audio" }, |object| {
                if let Some(format) = format {
                    object.string("format", format);
                }
                place.write(object);
            });
        }
        Body::Document { format, name, place, context, citations } => object.object("document", |object| {
            if let Some(format) = format {
                object.string("format", format);
            }
            object.string("name", name);
            place.write(object);
            if let Some(context) = context {
                object.string("context", context);
            }
            if *citations {
                object.object("citations", |object| object.flag("enabled", true));
            }
        }),
        Body::Call { id, name, input } => object.object("toolUse", |object| {
            object.string("toolUseId", id);
            object.string("name", name);
            object.json("input", input);
        }),
        Body::Result { id, content, is_error } => object.object("toolResult", |object| {
            object.string("toolUseId", id);
            object.list("content", |list| content.iter().for_each(|body| write_body(list, body)));
            if *is_error {
                object.string("status", "error");
            }
        }),
        Body::Thinking { text, signature } => object.object("reasoningContent", |object| {
            object.object("reasoningText", |object| {
                object.string("text", text);
                if let Some(signature) = signature {
                    object.string("signature", signature);
                }
            });
        }),
        Body::Redacted { data } => {
            object.object("reasoningContent", |object| object.string("redactedContent", data));
        }
        Body::Named(name, json) => object.json(name, json),
        // Written whole by whoever holds a list.
        Body::Raw(_) => {}
    }
}
