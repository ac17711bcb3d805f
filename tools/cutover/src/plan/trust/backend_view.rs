//! The differences in what backends learn about a caller and a request.

use edge_config::edge::{IdentityHeaders, RequestIdHeader};

use super::super::found::{Aspects, Protection};

/// A backend that loses a header may take the caller for another one, so a person has to check it.
pub(super) fn identity(old: &IdentityHeaders, new: &IdentityHeaders) -> Aspects {
    let mut noted = Aspects::default();
    let of = |headers: &IdentityHeaders, field: &str| {
        headers.named().find(|(named, _)| *named == field).map(|(_, name)| name.to_string())
    };
    for (field, before) in old.named() {
        match of(new, field) {
            Some(after) if *after == **before => {}
            Some(after) => noted.note(
                Protection::Weaker,
                format!("backends receive the {field} in `{after}` instead of `{before}`: check them"),
            ),
            None => noted.note(
                Protection::Weaker,
                format!("backends no longer receive the {field} in `{before}`: check them"),
            ),
        }
    }
    for (field, after) in new.named() {
        if of(old, field).is_none() {
            noted.note(Protection::Same, format!("backends also receive the {field} in `{after}`"));
        }
    }
    noted.other("the `typ` or the claims of the signed identity", &old.form, &new.form);
    noted
}

pub(super) fn request_id(old: &RequestIdHeader, new: &RequestIdHeader) -> Aspects {
    let mut noted = Aspects::default();
    let RequestIdHeader { header, on_answers } = new;
    noted.changed("the header with the id of a request", &old.header, header);
    noted.changed("which answers carry the id of their request", &old.on_answers, on_answers);
    noted
}
