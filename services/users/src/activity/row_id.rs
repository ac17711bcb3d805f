//! The ids of rows: UUIDs of version 5 in the namespace of OIDs, made of the row's content, as the legacy backend makes
//! them. The same taste has the same id on both, so a primary key keeps it single while both write.

use uuid::Uuid;

use super::tag::Tag;

/// Returns the id of a person's row about a book: a taste, a history or a notification.
pub(super) fn of_book(book: i32, user: Uuid) -> Uuid {
    made_of(&format!("{book}{}", user.as_hyphenated()))
}

/// Returns the id of a person's taste about a tag.
pub(super) fn of_tag(tag: &Tag, user: Uuid) -> Uuid {
    made_of(&format!("{}{}{}", tag.kind, tag.name, user.as_hyphenated()))
}

/// Returns the id of a tag of a notification.
pub(super) fn of_notified(notification: Uuid, tag: &Tag) -> Uuid {
    made_of(&format!("{}{}{}", notification.as_hyphenated(), tag.kind, tag.name))
}

/// Returns the id of a device that did not send one: that of its token.
pub(super) fn of_device(token: &str, user: Uuid) -> Uuid {
    made_of(&format!("{token}{}", user.as_hyphenated()))
}

fn made_of(text: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_the_legacy_backend() {
        // Made with Python: uuid.uuid5(uuid.NAMESPACE_OID, "7" + user), and so on.
        let user: Uuid = "00000000-0000-7000-8000-0000000000a0".parse().unwrap();
        let tag = Tag { kind: "misc".to_owned(), name: "full color".to_owned() };
        let book = of_book(7, user);
        assert_eq!(book.to_string(), "89d870a4-f496-5e34-8507-7d2a185a765f");
        assert_eq!(of_tag(&tag, user).to_string(), "2e7cb823-3732-5008-bbab-17137b15724a");
        assert_eq!(of_notified(book, &tag).to_string(), "2977a09b-d2a9-5d1a-83a1-985ae6f68b65");
    }
}
