//! Text of an edge file as messages show it: without the credentials of URLs.

use std::borrow::Cow;

/// What stands in place of a user and a password.
const HIDDEN: &str = "…@";

/// Parameters of an address with these names, or names that end with `_` and one of these, have a secret as their value.
const SECRETS: [&str; 3] = ["password", "secret", "token"];

/// `text` with `…` in place of the user and the password of every address in it, such as `redis://:secret@10.0.0.5/` or
/// `bob:secret@10.0.0.5:80`, and in place of its secret parameters, such as `?sentinel_password=secret`.
///
/// A message is about an address that could not be read, so nothing here depends on its form: what stands before the last `@` of
/// a word is hidden when it can be a user with a password, or when it follows `://`. In doubt more is hidden.
#[must_use]
pub fn without_credentials(text: &str) -> Cow<'_, str> {
    if !text.contains('@') && !text.contains('=') {
        return Cow::Borrowed(text);
    }
    let shown: String = text.split_inclusive(char::is_whitespace).map(word).map(parameters).collect();
    Cow::Owned(shown)
}

/// `word` with `…` in place of each secret parameter behind its `?`. A value ends at the next `&`, or where a quotation ends.
fn parameters(word: Cow<'_, str>) -> Cow<'_, str> {
    let Some((address, query)) = word.split_once('?') else { return word };
    let is_secret = |name: &str| {
        let name = name.to_ascii_lowercase();
        SECRETS.iter().any(|secret| {
            name.strip_suffix(secret).is_some_and(|before| before.is_empty() || before.ends_with('_'))
        })
    };
    let shown = query.split('&').map(|parameter| match parameter.split_once('=') {
        Some((name, value)) if is_secret(name) => {
            let end = value.find(['"', '`', '\'', ')']).unwrap_or(value.trim_end().len());
            format!("{name}=…{}", value.get(end..).unwrap_or_default())
        }
        Some(_) | None => parameter.to_owned(),
    });
    let shown: Vec<String> = shown.collect();
    Cow::Owned(format!("{address}?{}", shown.join("&")))
}

fn word(word: &str) -> Cow<'_, str> {
    let Some((before, after)) = word.rsplit_once('@') else { return Cow::Borrowed(word) };
    let hidden = match before.split_once("://") {
        Some((scheme, user)) if user.contains(':') || !user.contains('/') => {
            format!("{scheme}://{HIDDEN}{after}")
        }
        None if before.contains(':') => {
            // The punctuation in front stays.
            let end = before.find(char::is_alphanumeric).unwrap_or(before.len());
            format!("{}{HIDDEN}{after}", before.get(..end).unwrap_or_default())
        }
        Some(_) | None => return Cow::Borrowed(word),
    };
    Cow::Owned(hidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_message_shows_the_credentials_of_an_address() {
        for (text, shown) in [
            ("`url` is \"redis://:secret@10.0.0.5/\"", "`url` is \"redis://…@10.0.0.5/\""),
            (
                "it is \"http://bob:se/cr@et@10.0.0.5:80\" (from \"${A}\")",
                "it is \"http://…@10.0.0.5:80\" (from \"${A}\")",
            ),
            ("https://token@10.0.0.5", "https://…@10.0.0.5"),
            ("address: \"bob:secret@10.0.0.5:80\",", "address: \"…@10.0.0.5:80\","),
            ("is \"x\" (from \"${A:-bob:secret@x}\")", "is \"x\" (from \"${…@x}\")"),
            ("a: redis://u:p@h\n  b: https://v:q@i", "a: redis://…@h\n  b: https://…@i"),
            (
                "is \"redis+sentinel://a,b/name?sentinel_user=u&sentinel_password=secret&ca=a.pem\", not",
                "is \"redis+sentinel://a,b/name?sentinel_user=u&sentinel_password=…&ca=a.pem\", not",
            ),
            ("`amqp://u:p@h/?Password=secret`\n", "`amqp://…@h/?Password=…`\n"),
        ] {
            assert_eq!(without_credentials(text), shown);
        }
        for plain in [
            "nothing",
            "GET /users/@me",
            "https://api.test/users/@me",
            "mail to bob@example.com: now",
            "redis://h?password_file=a&b=c",
        ] {
            assert_eq!(without_credentials(plain), plain);
        }
    }
}
