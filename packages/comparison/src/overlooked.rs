//! The differences that the edge file declares irrelevant (`ignore`).

use edge_config::edge::{Comparator, DifferenceKind, Ignore, Ignored};

use crate::answer::Answer;
use crate::compare::Difference;

/// The ignored differences on one route.
#[derive(Clone, Copy, Debug)]
pub struct Overlooked<'a> {
    ignore: &'a [Ignore],
    version_header: Option<&'a str>,
    route: &'a str,
}

impl<'a> Overlooked<'a> {
    /// The ignored differences on `route`.
    #[must_use]
    pub fn on(comparator: Option<&'a Comparator>, route: &'a str) -> Self {
        let version_header = comparator.and_then(|comparator| comparator.version_header.as_deref());
        let ignore = comparator.map(|comparator| comparator.ignore.as_slice()).unwrap_or_default();
        Self { ignore, version_header, route }
    }

    /// The differences that `ignore` lists for `route`, which may be the name of anything that is compared.
    #[must_use]
    pub const fn listed(ignore: &'a [Ignore], route: &'a str) -> Self {
        Self { ignore, version_header: None, route }
    }

    fn all(self) -> impl Iterator<Item = &'a Ignored> {
        let route = self.route;
        self.ignore
            .iter()
            .filter(move |one| one.route.as_deref().is_none_or(|name| name == route))
            .map(|one| &one.what)
    }

    /// Removes ignored headers and cookies from an answer, so that their place does not matter either.
    pub fn strip(self, answer: &mut Answer) {
        answer.headers.retain(|line| {
            // It names the version of the backend, which differs between the two.
            !self.version_header.is_some_and(|name| line.is(name))
                && !self.all().any(|ignored| match ignored {
                    Ignored::Header(name) => line.is(name),
                    Ignored::Cookie(name) => {
                        let value = line.value.split(|byte| *byte == b'=').next().unwrap_or_default();
                        line.is("set-cookie") && value.trim_ascii() == name.as_bytes()
                    }
                    Ignored::Json(_) | Ignored::Kind(_) => false,
                })
        });
    }

    /// Whether `difference` is ignored.
    #[must_use]
    pub fn covers(self, difference: &Difference) -> bool {
        self.all().any(|ignored| match ignored {
            Ignored::Kind(kind) => *kind == difference.kind,
            Ignored::Json(pointer) => is_json(difference.kind) && is_below(&difference.place, pointer),
            Ignored::Header(_) | Ignored::Cookie(_) => false,
        })
    }
}

fn is_json(kind: DifferenceKind) -> bool {
    match kind {
        DifferenceKind::BodyMissing
        | DifferenceKind::BodyExtra
        | DifferenceKind::BodyValue
        | DifferenceKind::BodyType
        | DifferenceKind::BodyOrder
        | DifferenceKind::BodyFormat => true,
        DifferenceKind::NoAnswer
        | DifferenceKind::Status
        | DifferenceKind::Reason
        | DifferenceKind::HeaderMissing
        | DifferenceKind::HeaderExtra
        | DifferenceKind::HeaderValue
        | DifferenceKind::HeaderCase
        | DifferenceKind::HeaderOrder
        | DifferenceKind::SetCookieMissing
        | DifferenceKind::SetCookieExtra
        | DifferenceKind::SetCookieValue
        | DifferenceKind::SetCookieAttributes
        | DifferenceKind::BodyText
        | DifferenceKind::BodyBytes
        | DifferenceKind::BodyEncoding => false,
    }
}

/// Whether `place` is `pointer` or below it.
#[must_use]
pub fn is_below(place: &str, pointer: &str) -> bool {
    let mut segments = place.split('/');
    pointer.split('/').all(|wanted| segments.next().is_some_and(|segment| wanted == "*" || wanted == segment))
}

#[cfg(test)]
mod tests {
    use super::is_below;

    #[test]
    fn a_pointer_covers_values_below_it_by_whole_segments() {
        assert!(is_below("/items/*/etag", "/items/*/etag"));
        assert!(is_below("/items/*/etag/weak", "/items/*/etag"));
        assert!(is_below("/users/a/seen", "/users/*/seen"));
        assert!(!is_below("/items/*/etags", "/items/*/etag"));
        assert!(!is_below("/items", "/items/*/etag"));
    }
}
