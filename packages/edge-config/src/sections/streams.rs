//! The section `streams`, and the field `ends_with` of a route.

use std::time::Duration;

use crate::edge::{EndsWith, Policy, Streams};
use crate::node::Node;
use crate::reader::{self, Context, Fields, choice};

/// About 600 bytes each, so the most that one may ask for take 600 MB.
const MOST: u64 = 1_048_576;
/// An hour. Without a bound, an ended session would keep its streams for as long as an outage lasts.
const MOST_SECONDS: u64 = 3_600;

pub(crate) fn streams(context: Context<'_>, node: &Node) -> Option<Streams> {
    let mut fields = Fields::of(context, node, "`streams`");
    let Streams { most, unjudged } = Streams::default();
    let most = fields.optional("most").map_or(Some(most), |n| {
        reader::number(context, n, "`most` of `streams`", 8, MOST).and_then(|n| u32::try_from(n).ok())
    });
    let unjudged = fields.optional("unjudged_seconds").map_or(Some(unjudged), |n| {
        reader::number(context, n, "`unjudged_seconds` of `streams`", 1, MOST_SECONDS)
            .map(Duration::from_secs)
    });
    fields.finish();
    Some(Streams { most: most?, unjudged: unjudged? })
}

/// The field `ends_with` of the route named `shown`, whose policy is `policy`.
pub(crate) fn ends_with(
    context: Context<'_>,
    node: &Node,
    shown: &str,
    policy: Option<(&str, &Policy)>,
) -> Option<EndsWith> {
    let choices = [EndsWith::Credential, EndsWith::Session, EndsWith::Nothing].map(|it| (it.as_str(), it));
    let ends_with = choice(context, node, &format!("`ends_with` of {shown}"), &choices)?;
    let without = match (policy, ends_with) {
        (Some((_, Policy::Session(_))) | None, _) | (_, EndsWith::Nothing) => None,
        (Some((name, policy)), EndsWith::Credential | EndsWith::Session) => Some((name, kind(policy))),
    };
    if let Some((name, kind)) = without {
        let problem = format!(
            "{shown} ends with its {}, and its policy `{name}` is of kind `{kind}`, where no session can end",
            ends_with.as_str()
        );
        let mend = "leave out `ends_with`, or name a policy of kind `session`";
        context.faults.report(node.place, problem, mend);
        return None;
    }
    Some(ends_with)
}

const fn kind(policy: &Policy) -> &'static str {
    match policy {
        Policy::Public(_) => "public",
        Policy::Session(_) => "session",
        Policy::Internal(_) => "internal",
        Policy::Signed(_) => "signed",
        Policy::Webhook(_) => "webhook",
        Policy::Certificate(_) => "client-certificate",
    }
}
