//! Which targets of a plan can do what a request asks for, as far as the catalogue knows.
//!
//! Only what is certain counts: a model of which the catalogue tells nothing can do everything, and one that it knows
//! lacks what is not among its capabilities. A target that certainly cannot is left out of the plan; where none is left,
//! the caller is told so at once, with models that can, instead of paying for a refusal of the provider.

use gatelet_wire::{Measure, Operation};

use super::authenticate;
use super::receive::Received;
use crate::domain::Caller;
use crate::policy::{Model, Policy, Resolution, Target};
use crate::refusal::Refusal;
use crate::registry::{Capabilities, Capability};

/// No token of any tokenizer in use is longer.
const LONGEST_TOKEN: u64 = 128;
/// So many models are looked at for those that can, and so many of them are named.
const MOST_LOOKED_AT: usize = 500;
const MOST_NAMED: usize = 3;

/// What a request asks for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Needs {
    images: bool,
    tools: bool,
    schema: bool,
    /// Fewer tokens than this the input cannot be.
    tokens: u64,
}

/// What a target lacks, in words that follow its name, and the field that asks for it.
pub(super) type Lack = (&'static str, &'static str);

/// The refusal of a request that none of a model's targets can serve.
pub(super) fn incapable(
    policy: &Policy,
    caller: &Caller,
    model: &Model,
    needs: Needs,
    (lack, param): Lack,
) -> Refusal {
    let near = near(policy, caller, model, needs);
    Refusal::Incapable { model: model.name.to_string(), lack, param, near }
}

/// Models that can, and that the key may call.
fn near(policy: &Policy, caller: &Caller, model: &Model, needs: Needs) -> Vec<String> {
    let names = policy.names();
    let others =
        names.into_iter().filter(|name| name != model.name.as_str() && authenticate::may_call(caller, name));
    let can = |name: &String| match policy.resolve(name) {
        Resolution::Found(model) => {
            model.targets.iter().any(|target| is_known(target.capabilities) && needs.lack(target).is_none())
        }
        Resolution::Unknown { .. } => false,
    };
    others.take(MOST_LOOKED_AT).filter(can).take(MOST_NAMED).collect()
}

/// Whether the catalogue tells anything of what a model can do; what it cannot is no sign that the rest is complete.
fn is_known(capabilities: Capabilities) -> bool {
    TOLD.iter().any(|capability| capabilities.has(*capability))
}

/// What the sources of the catalogue tell of nearly every model that has it.
const TOLD: &[Capability] = &[
    Capability::Tools,
    Capability::ToolChoice,
    Capability::ParallelTools,
    Capability::Schema,
    Capability::Vision,
    Capability::Pdf,
    Capability::AudioInput,
    Capability::VideoInput,
];

impl Needs {
    /// None: it is no conversation, and nothing is known of who can do that.
    pub(super) fn of(received: &Received<'_>) -> Option<Self> {
        if received.arrived.operation != Operation::Chat {
            return None;
        }
        let fields = &received.fields;
        let images = fields.may_have_media() && {
            let measure = Measure::of(received.arrived.dialect, fields);
            measure.images > 0
        };
        let tools = fields.present("tools").is_some_and(|tools| tools.get().len() > "[]".len());
        let schema =
            fields.present("response_format").is_some_and(|format| format.get().contains("json_schema"));
        let bytes = u64::try_from(fields.as_str().len()).unwrap_or(u64::MAX);
        // Media are no text, and take fewer tokens than bytes.
        let tokens = if images { 0 } else { bytes / LONGEST_TOKEN };
        Some(Self { images, tools, schema, tokens })
    }

    pub(super) fn lack(self, target: &Target) -> Option<Lack> {
        let known = is_known(target.capabilities);
        let lacks = |capability| known && !target.has(capability);
        // Tools that can be chosen or called side by side are tools.
        let tools = [Capability::Tools, Capability::ToolChoice, Capability::ParallelTools];
        let same = target.context.is_some_and(|context| self.tokens > context);
        if same {
            Some(("cannot take so much input", "messages"))
        } else if self.images && lacks(Capability::Vision) {
            Some(("takes no images", "messages"))
        } else if self.tools && tools.into_iter().all(lacks) {
            Some(("calls no tools", "tools"))
        } else if self.schema && target.has(Capability::NoSchema) {
            Some(("takes no JSON schema for its answer", "response_format"))
        } else {
            None
        }
    }
}
