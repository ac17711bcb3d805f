//! The kinds of credentials in `to` of a route: `{ legacy-session: legacy, session: auth }`.

use std::collections::BTreeSet;

use crate::declared::Declared;
use crate::edge::{
    AcceptedCredential, Backend, Destination, LegacyEnd, LegacySessions, OfKind, Policy, Route, Sessions,
};
use crate::fault::{Place, suggest};
use crate::node::Node;
use crate::reader::{self, Context};

/// The sections that say how the kinds of sessions are distinguished.
#[derive(Clone, Copy)]
pub(crate) struct Recognition<'a> {
    pub(crate) sessions: Section<&'a Sessions>,
    pub(crate) legacy_sessions: Section<&'a LegacySessions>,
}

/// A section: missing, faulty (and reported where it stands), or good.
#[derive(Clone, Copy)]
pub(crate) enum Section<T> {
    Missing,
    Faulty,
    Good(T),
}

impl<T: Copy> Section<T> {
    pub(crate) const fn of(is_there: bool, read: Option<T>) -> Self {
        match read {
            Some(good) => Self::Good(good),
            None if is_there => Self::Faulty,
            None => Self::Missing,
        }
    }
}

/// Whether `name` in `to` is the name of a kind.
pub(crate) fn is_kind(name: &str) -> bool {
    AcceptedCredential::named(name).is_some()
}

/// One entry: `legacy-session: legacy`.
pub(crate) fn entry(
    context: Context<'_>,
    (name, place): (&str, Place),
    value: &Node,
    what: &str,
    backends: &Declared<Backend>,
) -> Option<OfKind> {
    let Some(kind) = AcceptedCredential::named(name) else {
        let problem = format!("`to` of {what} names the kind of credential `{name}`, which does not exist");
        let mend = suggest(name, AcceptedCredential::ALL.map(AcceptedCredential::as_str));
        context.faults.report(place, problem, format!("{mend} A share is a number: `{name}: 10`"));
        return None;
    };
    let what = format!("the backend of `{name}` in {what}");
    if reader::is_number(value) {
        let problem = format!("{what} is a number");
        context.faults.report(value.place, problem, format!("name one backend for every `{name}`"));
        return None;
    }
    backends.reference(context, value, &what).map(|backend| OfKind { kind, backend })
}

/// Reports kinds that no request of the route can have, and callers that would have no backend.
pub(crate) fn check(
    context: Context<'_>,
    place: Place,
    destination: &Destination,
    what: &str,
    policy: Option<&Policy>,
    recognition: Recognition<'_>,
) {
    let Destination { kinds, shares, sticky } = destination;
    if kinds.is_empty() {
        return;
    }
    if shares.is_empty() && sticky.is_some() {
        let problem = format!("`sticky` of {what} has no shares to choose from");
        context.faults.report(place, problem, "remove it: each kind has one backend");
    }
    match policy {
        // Reported as a missing policy.
        None => {}
        Some(Policy::Session(policy)) => {
            for kind in kinds.iter().map(|of| of.kind).filter(|kind| !policy.accepts(*kind)) {
                let problem = format!(
                    "{what} sends `{}` to a backend, and its policy does not accept it",
                    kind.as_str()
                );
                let accepted = policy.accepted().iter().map(|kind| kind.as_str());
                let mend =
                    format!("add it to `accept` of the policy, or remove it; {}", suggest("", accepted));
                context.faults.report(place, problem, mend);
            }
            let left: Vec<&str> = policy
                .accepted()
                .iter()
                .filter(|kind| destination.of_kind(**kind).is_none())
                .map(|kind| kind.as_str())
                .collect();
            if !left.is_empty() && shares.is_empty() {
                let left = left.join("`, `");
                let problem = format!("{what} has no backend for `{left}`, which its policy accepts");
                context.faults.report(place, problem, "name its backend, or add shares: `legacy: 100`");
            } else if left.is_empty() && !shares.is_empty() {
                let problem =
                    format!("the shares of {what} get no request: each accepted credential has a backend");
                context.faults.warn(place, problem, "remove the shares, or one of the kinds");
            }
        }
        Some(Policy::Public(_)) => check_public(context, place, destination, what, recognition),
        Some(Policy::Internal(_) | Policy::Signed(_) | Policy::Webhook(_) | Policy::Certificate(_)) => {
            let problem =
                format!("{what} sends kinds of sessions to backends, and its callers have no session");
            context.faults.report(place, problem, "use shares: `to: { legacy: 90, users: 10 }`");
        }
    }
}

fn check_public(
    context: Context<'_>,
    place: Place,
    destination: &Destination,
    what: &str,
    recognition: Recognition<'_>,
) {
    if destination.shares.is_empty() {
        let problem = format!("{what} is public and has no backend for callers without a session");
        context.faults.report(place, problem, "add shares beside the kinds: `legacy: 100`");
    }
    let mut missing = BTreeSet::new();
    for of in &destination.kinds {
        let kind = of.kind.as_str();
        match of.kind {
            AcceptedCredential::ApiKey => {
                let problem = format!("{what} is public and sends `{kind}` to a backend");
                context.faults.report(
                    place,
                    problem,
                    "a public route recognises `session` and `legacy-session`",
                );
            }
            AcceptedCredential::Session | AcceptedCredential::LegacySession => {
                missing.extend(lacks(recognition, of.kind));
            }
        }
    }
    for lack in missing {
        let problem =
            format!("{what} is public and distinguishes sessions, and the file has no {}", lack.what());
        context.faults.report(place, problem, lack.mend());
    }
}

/// What is missing in order to recognise a kind on a public route.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lack {
    Sessions,
    LegacySessions,
    RefreshCookie,
    LegacyRefreshCookie,
}

impl Lack {
    pub(crate) const fn what(self) -> &'static str {
        match self {
            Self::Sessions => "`sessions`",
            Self::LegacySessions => "`legacy_sessions`",
            Self::RefreshCookie => "`refresh_cookie` in `sessions`",
            Self::LegacyRefreshCookie => "`refresh_cookie` in `legacy_sessions`",
        }
    }

    pub(crate) const fn mend(self) -> &'static str {
        match self {
            Self::Sessions => "add the section `sessions`",
            Self::LegacySessions => "add the section `legacy_sessions`",
            Self::RefreshCookie | Self::LegacyRefreshCookie => {
                "name the cookie with the refresh token, such as `refresh_cookie: refresh_token`: a session \
                 whose access token has expired is recognised by it"
            }
        }
    }
}

/// What is missing in order to recognise `kind`.
pub(crate) fn lacks(recognition: Recognition<'_>, kind: AcceptedCredential) -> Option<Lack> {
    match kind {
        AcceptedCredential::Session => match recognition.sessions {
            Section::Missing => Some(Lack::Sessions),
            Section::Good(Sessions { refresh_cookie: None, .. }) => Some(Lack::RefreshCookie),
            Section::Faulty | Section::Good(_) => None,
        },
        AcceptedCredential::LegacySession => match recognition.legacy_sessions {
            Section::Missing => Some(Lack::LegacySessions),
            Section::Good(LegacySessions { refresh_cookie: None, .. }) => Some(Lack::LegacyRefreshCookie),
            Section::Faulty | Section::Good(_) => None,
        },
        AcceptedCredential::ApiKey => None,
    }
}

/// Reports what is missing where `what` refuses ended sessions. Each kind of session is recognised by two cookies: a client
/// that leaves out the access token would otherwise go on with its refresh token.
pub(crate) fn check_ended(context: Context<'_>, place: Place, what: &str, recognition: Recognition<'_>) {
    let all = [AcceptedCredential::Session, AcceptedCredential::LegacySession];
    let lacks: Vec<Lack> = all.into_iter().filter_map(|kind| lacks(recognition, kind)).collect();
    if lacks == [Lack::Sessions, Lack::LegacySessions] {
        let problem = format!(
            "{what} refuses ended sessions, and the file has neither `sessions` nor `legacy_sessions`"
        );
        context.faults.report(place, problem, "add one of the sections, or leave out `ended`");
        return;
    }
    // One of the two kinds is enough.
    for lack in lacks.into_iter().filter(|lack| !matches!(lack, Lack::Sessions | Lack::LegacySessions)) {
        let problem = format!("{what} refuses ended sessions, and the file has no {}", lack.what());
        context.faults.report(place, problem, lack.mend());
    }
}

/// Compares `end` of `legacy_sessions` with where the refresh route sends legacy sessions. The refresh route is the public
/// one that takes PATCH and names both kinds.
pub(crate) fn check_end(
    context: Context<'_>,
    place: Place,
    route: &Route,
    policy: Option<&Policy>,
    end: LegacyEnd,
) {
    let refreshes =
        matches!(policy, Some(Policy::Public(_))) && route.methods.iter().any(|method| method == "PATCH");
    let legacy = route.destination.of_kind(AcceptedCredential::LegacySession);
    let (true, Some(legacy)) = (refreshes, legacy) else { return };
    let name = &route.name;
    let new = route.destination.of_kind(AcceptedCredential::Session);
    match end {
        LegacyEnd::Exchange if new.is_some_and(|new| new != legacy) => {
            let new = new.unwrap_or_default();
            let problem = format!(
                "`legacy_sessions` ends by `exchange`, and route `{name}` sends `legacy-session` to `{legacy}` instead of `{new}`"
            );
            let mend = format!("write `legacy-session: {new}` there, or `end: side-by-side`");
            context.faults.report(place, problem, mend);
        }
        LegacyEnd::SideBySide if new == Some(legacy) => {
            let problem = format!(
                "`legacy_sessions` lives on `side-by-side`, and route `{name}` sends `legacy-session` to `{legacy}`, which has the new sessions"
            );
            context.faults.report(place, problem, "name the legacy backend there, or write `end: exchange`");
        }
        LegacyEnd::Exchange | LegacyEnd::SideBySide => {}
    }
}
