//! The paths that a route takes, and which of several routes takes a path.
//!
//! A path is a slash and then segments, separated by slashes: `/users/1` has two, and `/` has one, which is empty. A match
//! names a literal or a parameter (`{user}`) for each of its segments. One rule chooses among the matches that take a path.
//! The engine, the guard, Envoy's route tree and `cutover plan` all follow it:
//!
//! 1. From the left, a literal segment comes before a parameter, and a parameter before the end of a match.
//! 2. An exact match comes before a prefix.
//! 3. A route that names the method comes before one for any method.
//!
//! A route that does not list the request's method does not match, and the next one is tried.

use std::iter;

/// The paths that a route takes. A segment `{name}` is a parameter: it takes one segment of visible ASCII, whatever it is,
/// but not an empty one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathMatch {
    /// This path, byte for byte: `/users` or `/users/{user}/orders`.
    Exact(String),
    /// This path and everything below it, by whole segments: `/users` takes `/users` and `/users/1` but not
    /// `/usersx`. `/` takes everything.
    Prefix(String),
}

/// One segment of a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment<'a> {
    /// This text, byte for byte.
    Literal(&'a str),
    /// Any segment of visible ASCII that is not empty; the name is for policies and people.
    Parameter(&'a str),
}

/// The rank of a match among others: the least one takes a path. Two matches with one rank take the same paths.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Specificity<'a>(Vec<Rank<'a>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Rank<'a> {
    Literal(&'a str),
    Parameter,
    EndOfExact,
    EndOfPrefix,
}

impl<'a> Segment<'a> {
    fn of(text: &'a str) -> Self {
        let name = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        name.map_or(Self::Literal(text), Self::Parameter)
    }

    fn takes(self, segment: &str) -> bool {
        match self {
            Self::Literal(text) => text == segment,
            Self::Parameter(_) => !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_graphic()),
        }
    }
}

impl PathMatch {
    /// The path as written, with its parameters.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Exact(path) | Self::Prefix(path) => path,
        }
    }

    /// Its segments from the left. The prefix `/` has none.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'_>> {
        let text = self.path();
        let path = match self {
            Self::Prefix(path) if path == "/" => None,
            Self::Exact(_) | Self::Prefix(_) => Some(text.strip_prefix('/').unwrap_or(text)),
        };
        path.into_iter().flat_map(|path| path.split('/')).map(Segment::of)
    }

    /// Whether it has a parameter.
    #[must_use]
    pub fn is_template(&self) -> bool {
        self.segments().any(|segment| matches!(segment, Segment::Parameter(_)))
    }

    /// Whether `path` (raw, without query) is taken.
    #[must_use]
    pub fn takes(&self, path: &str) -> bool {
        let Some(path) = path.strip_prefix('/') else { return false };
        let mut rest = path.split('/');
        for segment in self.segments() {
            if !rest.next().is_some_and(|text| segment.takes(text)) {
                return false;
            }
        }
        match self {
            Self::Exact(_) => rest.next().is_none(),
            Self::Prefix(_) => true,
        }
    }

    /// Whether it takes the own path of `other`, whatever the values of its parameters are.
    #[must_use]
    pub fn takes_path_of(&self, other: &Self) -> bool {
        let mut rest = other.segments();
        for segment in self.segments() {
            let is_taken = match (segment, rest.next()) {
                (Segment::Literal(one), Some(Segment::Literal(other))) => one == other,
                (Segment::Parameter(_), Some(Segment::Literal(other))) => !other.is_empty(),
                (Segment::Parameter(_), Some(Segment::Parameter(_))) => true,
                (Segment::Literal(_), Some(Segment::Parameter(_))) | (_, None) => false,
            };
            if !is_taken {
                return false;
            }
        }
        match self {
            Self::Exact(_) => rest.next().is_none(),
            Self::Prefix(_) => true,
        }
    }

    /// Its rank among matches that take the same path.
    #[must_use]
    pub fn specificity(&self) -> Specificity<'_> {
        let end = match self {
            Self::Exact(_) => Rank::EndOfExact,
            Self::Prefix(_) => Rank::EndOfPrefix,
        };
        let segments = self.segments().map(|segment| match segment {
            Segment::Literal(text) => Rank::Literal(text),
            Segment::Parameter(_) => Rank::Parameter,
        });
        Specificity(segments.chain(iter::once(end)).collect())
    }

    /// The position of the parameter `name` among the segments, counted from 0.
    #[must_use]
    pub fn position_of(&self, name: &str) -> Option<usize> {
        self.segments().position(|segment| segment == Segment::Parameter(name))
    }

    /// A path that it takes: each parameter is replaced by `value`.
    #[must_use]
    pub fn with_parameters(&self, value: &str) -> String {
        let mut path = String::new();
        for segment in self.segments() {
            path.push('/');
            path.push_str(match segment {
                Segment::Literal(text) => text,
                Segment::Parameter(_) => value,
            });
        }
        if path.is_empty() { "/".to_owned() } else { path }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(path: &str) -> PathMatch {
        PathMatch::Exact(path.to_owned())
    }

    fn prefix(path: &str) -> PathMatch {
        PathMatch::Prefix(path.to_owned())
    }

    #[test]
    fn a_parameter_takes_one_whole_segment() {
        for (path, taken, missed) in [
            (
                exact("/users/{user}/orders"),
                ["/users/1/orders", "/users/a%2Fb/orders", "/users/{user}/orders", "/users/../orders"],
                ["/users//orders", "/users/1/orders/", "/users/1/2/orders", "/users/ü/orders"],
            ),
            (
                prefix("/t/{tenant}/invoices"),
                ["/t/a/invoices", "/t/a/invoices/", "/t/a/invoices/7", "/t/;/invoices"],
                ["/t/a/invoicesx", "/t//invoices", "/t/invoices", "/x/a/invoices"],
            ),
            (exact("/{a}"), ["/x", "/.", "/..", "/%2F"], ["/", "/x/", "//x", "/x/y"]),
            (prefix("/"), ["/", "//", "/x", "/ü"], ["", "x", "*", " /"]),
            (exact("/"), ["/", "/", "/", "/"], ["//", "/x", "", "/."]),
        ] {
            for path_taken in taken {
                assert!(path.takes(path_taken), "{path:?} {path_taken}");
            }
            for path_missed in missed {
                assert!(!path.takes(path_missed), "{path:?} {path_missed}");
            }
        }
    }

    #[test]
    fn the_literal_wins_from_the_left_and_the_longer_before_the_shorter() {
        let in_order = [
            exact("/users/me/orders"),
            prefix("/users/me/orders"),
            exact("/users/me/{thing}"),
            exact("/users/me"),
            prefix("/users/me"),
            exact("/users/{id}/orders"),
            exact("/users/{id}"),
            prefix("/users/{id}"),
            prefix("/users"),
            exact("/{any}"),
            prefix("/"),
        ];
        for pair in in_order.windows(2) {
            assert!(pair[0].specificity() < pair[1].specificity(), "{pair:?}");
        }
        assert_eq!(exact("/a/{b}").specificity(), exact("/a/{c}").specificity());
    }

    #[test]
    fn a_prefix_takes_the_path_of_a_template_below_it() {
        for (outer, inner, takes) in [
            (prefix("/internal"), exact("/internal/{x}"), true),
            (prefix("/{a}/secret"), exact("/{b}/secret"), true),
            (prefix("/{a}/secret"), prefix("/x/secret/y"), true),
            (exact("/x/secret"), exact("/{b}/secret"), false),
            (prefix("/internal"), exact("/{x}"), false),
            (exact("/{a}"), exact("/"), false),
        ] {
            assert_eq!(outer.takes_path_of(&inner), takes, "{outer:?} {inner:?}");
        }
        assert_eq!(prefix("/t/{tenant}/x/{y}").position_of("y"), Some(3));
        assert_eq!(prefix("/t/{tenant}/x").with_parameters("v"), "/t/v/x");
        assert_eq!(prefix("/").with_parameters("v"), "/");
    }
}
